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
