# The level that the fleet's scans have in common holds on each of its machines, and programs run under it.
# machines: x86_64 neoverse-n1 cortex-a72
# programs: src/cli/cpulevel tests/lab/programs/print_vector
# with: fleet
fleet=/lab/data/fleet.json
cpulevel scan -o here.json >/dev/null
succeeds may_run_here cpulevel compare "$fleet" here.json
bare=$(print_vector)
levelled=$(cpulevel run --level "$fleet" -- print_vector 2>/dev/null) || failed vector_agrees "$levelled"
echo "bare     $bare"
echo "levelled $levelled"
features() { cpulevel show "$1" --json | tr -d ' \n' | sed 's/.*"features":\[\([^]]*\)\].*/\1/' | tr ',' '\n' | sort; }
features "$fleet" >fleet.txt
case $ARCH in x86_64) least=nehalem ;; *) least=cortex-a72 ;; esac
features "/lab/data/$least.json" >least.txt
# Nothing that the least of them lacks, and no less than it has but for what is never shown.
equal nothing_beyond_the_least "" "$(grep -v -x -F -f least.txt fleet.txt | tr '\n' ' ')"
grep -v -x -F -f fleet.txt least.txt >not_shown.txt
succeeds the_level_has_features grep -q . fleet.txt
echo "the least machine has, and the level has not: $(tr '\n' ' ' <not_shown.txt)"
case $MACHINE in
    "$least") ;;
    *) differ "levelled_on_$MACHINE" "$bare" "$levelled" ;;
esac
case $MACHINE in
    neoverse-n1) equal hwcap_is_the_least "hwcap=0xff" "${levelled%% *}" ;;  # cortex-a72's 0x8ff without HWCAP_CPUID
esac
case $ARCH in
    x86_64) equal as_much_as_the_least "" "$(cat not_shown.txt)" ;;
    *)
        equal not_shown '"cpuid" ' "$(tr '\n' ' ' <not_shown.txt)"
        cpulevel baseline /lab/data/neoverse-n1.json "/lab/data/$least.json" >refused.txt 2>&1
        equal differing_ctr_is_refused 1 $?
        succeeds differing_ctr_is_named grep -q CTR_EL0 refused.txt
        cpulevel baseline /lab/data/arm-max.json "/lab/data/$least.json" >refused.txt 2>&1
        equal hint_space_is_refused 1 $?
        cat refused.txt
        ;;
esac
