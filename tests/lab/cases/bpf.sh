# The BPF engine: levels of cgroups and trees, marks, failures told, nothing left behind; its programs against the rules, event by event.
# machines: x86_64 aarch64 haswell-6.12 cortex-a72-6.12
# programs: src/cli/cpulevel tests/lab/programs/print_vector tests/proof/proof tests/bpf/bpf_events tests/bpf/bpf_actor tests/bpf/bpf_break_writes
# time: 400
mount -t bpf bpf /sys/fs/bpf
if cpulevel detach --all 2>&1 | grep -q 'without the BPF engine' || cpulevel attach --tree 1 --inherit 2>&1 | grep -q 'without the BPF engine'; then
    skipped bpf "this cpulevel was built without the BPF engine (a cross build needs -DCPULEVEL_BPF_SYSROOT, see tools/arm64_libraries.sh)"
    exit 0
fi
cpulevel detach --all >/dev/null 2>&1
mount -t cgroup2 none /sys/fs/cgroup
case $ARCH in
    x86_64) level=x86-64 lower=x86-64 ;;
    *) level=armv8.0-a lower=armv8.0-a ;;
esac
group=/sys/fs/cgroup/outer
mkdir -p $group/inner
inside() {  # CGROUP COMMAND...
    sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$@"
}

bare=$(print_vector)
succeeds attach_cgroup cpulevel attach --cgroup $group --level $level
levelled=$(inside $group print_vector)
echo "bare     $bare"
echo "levelled $levelled"
differ cgroup_is_levelled "$bare" "$levelled"
equal nested_cgroup "$levelled" "$(inside $group/inner print_vector)"
equal outside_is_bare "$bare" "$(print_vector)"
equal children_of_children "$levelled" "$(inside $group/inner sh -c 'sh -c "print_vector; true"; true')"
succeeds attach_twice cpulevel attach --cgroup $group/inner --level $lower
equal status_has_both 2 "$(cpulevel status --json | grep -c '"kind": "cgroup"')"
succeeds detach_inner cpulevel detach --cgroup $group/inner
equal outer_stays "$levelled" "$(inside $group/inner print_vector)"

# What cannot be written is counted and told, and with --strict it does not run.
bpf_break_writes 1
equal broken_runs_bare "$bare" "$(inside $group print_vector)"
equal broken_is_counted 1 "$(cpulevel status --json | sed -n 's/^    "failures": \([0-9]*\).*/\1/p; s/^      "failures": \([0-9]*\).*/\1/p' | sort -n | tail -n 1)"
bpf_break_writes 0
succeeds attach_strict cpulevel attach --cgroup $group --level $level --strict
equal strict_runs "$levelled" "$(inside $group print_vector)"
bpf_break_writes 1
equal strict_kills 137 "$(inside $group print_vector >/dev/null 2>&1; echo $?)"
bpf_break_writes 0

succeeds detach_cgroup cpulevel detach --cgroup $group
equal nothing_left "" "$(ls /sys/fs/bpf)"
equal bare_again "$bare" "$(inside $group print_vector)"

# A process tree by itself, and what its programs set by prctl.
chmod 755 /lab /lab/bin
sh -c 'cpulevel attach --tree $$ --inherit && /lab/bin/proof >/tmp/proof.txt; echo $? >/tmp/proof.status; cpulevel detach --tree $$' >/dev/null 2>&1
equal proof 0 "$(cat /tmp/proof.status)"
sed -n 's/^FAILED/proof said: &/p' /tmp/proof.txt
grep -q '^SKIPPED 7 get_auxv' /tmp/proof.txt && skipped get_auxv 'this kernel has no PR_GET_AUXV (Linux 6.4)'
equal proof_ran 1 "$(grep -c ' 0 failed' /tmp/proof.txt)"

# A tree inside of a tree: what both show. The inner one is detached by itself, and the outer one stays.
case $ARCH in
    x86_64) outer=x86-64-clflush inner=x86-64-cx8 ;;
    *) outer=armv8.0-a+crc32 inner=armv8.0-a+aes ;;
esac
tree_of() {  # LEVEL COMMAND: a shell that is a tree under the level
    sh -c 'cpulevel attach --tree $$ --level "$1" >/dev/null 2>&1; eval "$2"; cpulevel detach --tree $$ >/dev/null 2>&1' sh "$@"
}
export inner
word() { sed -n 's/^hwcap=\(0x[0-9a-f]*\).*/\1/p' "$1"; }
tree_of $outer 'print_vector' >/tmp/outer
tree_of $inner 'print_vector' >/tmp/inner
tree_of $outer 'print_vector >/tmp/before
    sh -c "cpulevel attach --tree \$\$ --level $inner >/dev/null 2>&1; print_vector >/tmp/both; cpulevel status --json >/tmp/status; cpulevel detach --tree \$\$ >/dev/null 2>&1; print_vector >/tmp/after"
    print_vector >/tmp/sibling'
equal nested_tree $(($(word /tmp/outer) & $(word /tmp/inner))) $(($(word /tmp/both)))
differ nested_tree_is_less "$(word /tmp/outer)" "$(word /tmp/both)"
differ nested_tree_is_less_than_inner "$(word /tmp/inner)" "$(word /tmp/both)"
equal nested_tree_in_status 2 "$(grep -c '"kind": "tree"' /tmp/status)"
equal nested_tree_detached "$(cat /tmp/outer)" "$(cat /tmp/after)"
equal nested_tree_sibling "$(cat /tmp/outer)" "$(cat /tmp/sibling)"
equal nested_tree_before "$(cat /tmp/outer)" "$(cat /tmp/before)"

for seed in 1 2; do
    mkdir /tmp/events$seed
    succeeds events_$seed bpf_events --folder /tmp/events$seed --actor /lab/bin/bpf_actor --seed $seed --steps 1200
done
mkdir /tmp/events3
succeeds events_in_cgroup bpf_events --folder /tmp/events3 --actor /lab/bin/bpf_actor --seed 3 --steps 1200 --cgroup $group/inner
equal nothing_left_at_all "" "$(ls /sys/fs/bpf)"
