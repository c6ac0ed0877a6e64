# A level is what programs see in HWCAP, HWCAP2 and the saved vector, AArch64 and AArch32, through every exec.
# machines: aarch64
# programs: src/cli/cpulevel tests/lab/programs/print_vector
# time: 120
bare=$(print_vector) || failed bare_vector "$bare"
echo "bare       $bare"
under() { cpulevel run --level "$@" 2>/dev/null; }
first() { echo "${1%% *}"; }

v80=$(under armv8.0-a -- print_vector) || failed vector_agrees "$v80"
if [ "$MACHINE" = cortex-a72 ]; then
    # An Armv8.0 processor cannot give what armv8.2-a shows.
    equal v82_is_refused 125 "$(under armv8.2-a -- true; echo $?)"
    v82=$v80
else
    v82=$(under armv8.2-a -- print_vector) || failed vector_agrees_v82 "$v82"
fi
kept=$(under armv8.0-a+cpuid -- print_vector)
echo "armv8.0-a  $v80"
echo "armv8.2-a  $v82"
echo "+cpuid     $kept"

# Of armv8.0-a: fp, asimd (bits 0, 1). HWCAP_CPUID (bit 11) is hidden unless it is asked for.
hwcap_of() { echo "$1" | sed 's/^hwcap=\(0x[0-9a-f]*\) .*/\1/'; }
own=$(hwcap_of "$bare")
case $MACHINE in
    cortex-a72) equal bare_hwcap 0x8ff "$own" ;;
    neoverse-n1) equal bare_hwcap 0x119fff "$own" ;;
esac
equal v80_is_a_subset $((own & $(hwcap_of "$v80"))) $(($(hwcap_of "$v80")))
equal v82_is_a_subset $((own & $(hwcap_of "$v82"))) $(($(hwcap_of "$v82")))
equal v80_has_fp_and_asimd 3 $(($(hwcap_of "$v80") & 3))
equal v80_hides_cpuid 0 $(($(hwcap_of "$v80") & 0x800))
equal cpuid_is_kept_when_asked 2048 $(($(hwcap_of "$kept") & 0x800))
equal v80_hides_atomics 0 $(($(hwcap_of "$v80") & 0x100))
if [ "$MACHINE" != cortex-a72 ]; then
    equal v82_has_atomics 256 $(($(hwcap_of "$v82") & 0x100))
    differ levels_differ "$v80" "$v82"
fi
equal through_children "$v80" "$(under armv8.0-a -- sh -c 'sh -c "print_vector; true"; true')"
equal through_exec "$v80" "$(under armv8.0-a -- print_vector exec print_vector exec print_vector)"
equal default_level "$(hwcap_of "$v80")" "$(hwcap_of "$(cpulevel run -- print_vector 2>/dev/null)")"
equal status_passes 7 "$(under armv8.0-a -- sh -c 'exit 7'; echo $?)"
equal death_passes 139 "$(under armv8.0-a -- sh -c 'kill -SEGV $$'; echo $?)"
# The stub ends in a trap, which the kernel delivers by force: an ignored SIGTRAP must be ignored again afterwards.
signals() { (trap '' TRAP SEGV; "$@" print_vector signals); }
equal ignored_signals "$(signals)" "$(signals cpulevel run --level armv8.0-a -- 2>/dev/null)"
equal another_architecture 125 "$(under x86-64-v2 -- true; echo $?)"
# The length of SVE vectors: the smallest of the fleet, through fork and exec.
if [ "$MACHINE" = arm-max ]; then
    cpulevel scan --json >here.json
    sed 's/\("sve_vector_length": *\)"0x[0-9a-f]*"/\1"0x20"/; s/\("name": *\)"[^"]*"/\1"shorter"/' here.json >shorter.json
    succeeds level_of_two_lengths cpulevel baseline here.json shorter.json -o two.json
    equal length_bare "vl=64" "${bare##* }"
    two=$(under two.json -- print_vector)
    echo "two        $two"
    equal length_levelled "vl=32" "${two##* }"
    equal length_through_children "$two" "$(under two.json -- sh -c 'sh -c "print_vector; true"; true')"
    # A length that the machine does not have is told, not passed over.
    sed 's/"0x20"/"0x13"/' two.json >odd.json
    cpulevel run --level odd.json -- true 2>odd.txt
    succeeds odd_length_is_told grep -q "length of vectors" odd.txt
    cat odd.txt
fi
