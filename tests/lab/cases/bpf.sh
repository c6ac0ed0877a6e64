# The BPF engine: levels of cgroups and trees, marks, failures told, nothing left behind; its programs against the rules, event by event.
# machines: x86_64 aarch64
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

# Its own cost, by the kernel's count: printed for docs/performance.md (emulated, so for comparison only).
echo 1 >/proc/sys/kernel/bpf_stats_enabled
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do inside $group print_vector >/dev/null; done
echo 0 >/proc/sys/kernel/bpf_stats_enabled
cpulevel status | grep 'cost '
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

for seed in 1 2; do
    mkdir /tmp/events$seed
    succeeds events_$seed bpf_events --folder /tmp/events$seed --actor /lab/bin/bpf_actor --seed $seed --steps 1200
done
mkdir /tmp/events3
succeeds events_in_cgroup bpf_events --folder /tmp/events3 --actor /lab/bin/bpf_actor --seed 3 --steps 1200 --cgroup $group/inner
equal nothing_left_at_all "" "$(ls /sys/fs/bpf)"
