# CPUID faulting is virtual for programs, and what they have set up for SIGSEGV or by seccomp stays as it is.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/arch_cpuid tests/system/victims/segv_state tests/system/victims/sandbox
# programs: tests/system/victims/faults tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 180

# It may switch CPUID off and on for itself and gets a SIGSEGV of its own; it never sees the real CPU (AVX2: leaf 7, EBX, bit 5).
calls() { sed 's/\(answered\).*/\1/'; }
arch_cpuid >bare
cat bare
for how in "" --trap-only; do
    # shellcheck disable=SC2086
    cpulevel run $how --level x86-64-v2 -- arch_cpuid >levelled
    equal "virtual_faulting$how" "$(calls <bare)" "$(calls <levelled)"
    real=
    # shellcheck disable=SC2013
    for answer in $(sed -n 's/.*answered //p' levelled); do
        [ $((0x$answer & 0x20)) = 0 ] || real="$real $answer"
    done
    equal "never_the_real_cpu$how" "" "$real"
done
equal faults_for_it "fault.off=code 128 address (nil)" "$(grep fault.off= levelled)"

# Answered from memory, CPUID leaves nothing behind, also in a handler of SIGSEGV or where that is blocked or ignored: of the first program
# as of others. Beside it real faults, which reach the program.
equal states_in_memory "$(segv_state)" "$(cpulevel run --level x86-64-v2 -- segv_state)"
equal real_faults "$(faults)" "$(cpulevel run --level x86-64-v2 -- faults)"

# A CPUID that faults forces a signal, which leaves its traces where SIGSEGV is blocked or ignored (docs/decisions/005): only what
# is neither is compared. Filters: none of the program's own may kill for what levelling does.
cat >states <<'END'
for state in default handler one_shot_handler handler_on_alternate_stack everything_blocked; do
    segv_state $state
done
for kind in filter_tight trace_action trap_action; do
    echo "$kind $(sandbox $kind | tr '\n' ' ') status $?"
done
END
sh states >bare
cat bare
for how in "" --trap-only; do
    # shellcheck disable=SC2086
    equal "states_and_filters$how" "$(cat bare)" "$(cpulevel run $how --level x86-64-v2 -- sh states)"
done
levelled=$(cpulevel run --level x86-64-v2 -- made_code)
# shellcheck disable=SC2016
cpulevel run --level x86-64-v2 -- sh -c '
    for kind in exec_prctl_fails exec_prctl_kills exec_prctl_traps filter_inherited no_new_privileges; do
        echo "$kind $(sandbox $kind /lab/bin/made_code | grep leaf7)"
    done' >said 2>errors
while read -r kind answer; do
    equal "$kind" "$levelled" "$answer"
done <said
equal all_were_there 5 "$(wc -l <said)"
