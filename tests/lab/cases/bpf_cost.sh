# What exec, fork and thread start cost under the BPF engine, against bare, in this machine; and its own time for each, by the kernel's count.
# machines: haswell-6.12 cortex-a72-6.12
# programs: src/cli/cpulevel tests/lab/programs/print_vector tests/lab/programs/bench_spawn tests/lab/programs/bench_forks tests/lab/programs/bench_threads
# time: 240
# An emulated machine is slow, and its time is not a real one's: the ratios and the shares are what this is for (docs/performance.md).
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/cost
case $ARCH in x86_64) level=x86-64 ;; *) level=armv8.0-a ;; esac
ROUNDS=5

now() { sed "s/ .*//; s/\.//" /proc/uptime; }  # 1/100 s
once() {  # COMMAND...: how long it takes
    once_start=$(now)
    "$@" || failed cost "$* ended with status $?"
    echo $(($(now) - once_start))
}
attached() { sh -c 'echo $$ >/sys/fs/cgroup/cost/cgroup.procs; exec "$@"' sh "$@"; }
middle() { sort -n | sed -n "$(((ROUNDS + 1) / 2))p"; }

succeeds attach cpulevel attach --cgroup /sys/fs/cgroup/cost --level $level
differ levelled "$(attached print_vector)" "$(print_vector)"
for work in "exec spawn 150 /lab/bin/bench_forks 0" "fork forks 300" "thread threads 400"; do
    set -- $work
    name=$1 program=bench_$2 count=$3
    shift 2
    rm -f /tmp/bare /tmp/engine
    for round in 1 2 3 4 5; do
        case $round in
            1 | 3 | 5) once "$program" "$@" >>/tmp/bare; once attached "$program" "$@" >>/tmp/engine ;;
            *) once attached "$program" "$@" >>/tmp/engine; once "$program" "$@" >>/tmp/bare ;;
        esac
    done
    bare=$(middle </tmp/bare) engine=$(middle </tmp/engine)
    # A clock of 1/100 s: a run shorter than 1/10 s says nothing.
    if [ "$bare" -lt 10 ]; then failed "$name" "took $bare/100 s: too short to be measured"; else ok "$name"; fi
    echo "cost $name: bare $((bare * 10000 / count)) us, attached $((engine * 10000 / count)) us, ratio $((engine * 100 / bare))/100"
done

# Its own time alone.
echo 1 >/proc/sys/kernel/bpf_stats_enabled
attached bench_spawn 100 /lab/bin/bench_forks 0
echo 0 >/proc/sys/kernel/bpf_stats_enabled
cpulevel status >/tmp/status
grep 'cost ' /tmp/status
equal cost_is_told 1 "$(grep -c 'cost .*on_exec' /tmp/status)"
succeeds detach cpulevel detach --all
