# What CPUID says of the CPU that a thread is on (leaf 1, EBX: the APIC id; leaf 0xB, EDX: the x2APIC id) is never the level's.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/print_cpuid tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 120
cpulevel scan -o scan.json
cpulevel baseline scan.json -o level.json >/dev/null
cat >ids <<'END'
for cpu in 0 1; do
    echo "made_code cpu $cpu: $(taskset $((1 << cpu)) made_code live)"
    # By code of a file: EBX of leaf 1, EDX of leaf 0xB.
    set -- $(taskset $((1 << cpu)) print_cpuid 1 b | sed 's/.*=//' | tr '\n' ' ')
    echo "print_cpuid cpu $cpu: apic=$((0x$2 >> 24)) x2apic=$((0x$8))"
done
END
sh ids >bare
cat bare
equal bare "apic=0 x2apic=0 apic=1 x2apic=1" "$(sed -n 's/^made_code.*: //p' bare | tr '\n' ' ' | sed 's/ $//')"
for how in "" --trap-only; do
    # shellcheck disable=SC2086
    equal "levelled$how" "$(cat bare)" "$(cpulevel run $how --level level.json -- sh ids)"
done

# What a CPU has answered once is in the memory of the programs that start later, the first one of a tree among them: they do not stop for
# it. And it is of the CPU that they are on.
traps() { # PROGRAMS, all on one CPU
    taskset 1 cpulevel run --level level.json --report report.json -- sh -c 'i=0; while [ $i -lt '"$1"' ]; do print_cpuid 1 b; i=$((i+1)); done' >/dev/null
    tr -d ' \n' <report.json | grep -o '"cpuid_traps":[0-9]*' | cut -d: -f2
}
equal live_needs_no_stop 0 "$(traps 1)"
# A program can go where the supervisor's own affinity does not let it run.
taskset 1 cpulevel run --level level.json --report report.json -- taskset 2 print_cpuid 1 b >/dev/null
equal live_beyond_our_affinity 0 "$(tr -d ' \n' <report.json | grep -o '"cpuid_traps":[0-9]*' | cut -d: -f2)"
shown() { "$@" sh -c 'for mask in 1 2 1 2; do taskset $mask print_cpuid 1 b | sed "s/.*=[0-9a-f]* \([0-9a-f]*\) [0-9a-f]* /\1 /"; done'; }
equal live_by_cpu "$(shown)" "$(shown cpulevel run --level level.json --)"
