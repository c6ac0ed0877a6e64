# CPUID faulting is virtual for programs, and what they have set up for SIGSEGV or by seccomp stays as it is.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/arch_cpuid tests/system/victims/segv_state tests/system/victims/sandbox
# programs: tests/system/victims/faults tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 240
level() { cpulevel run --level x86-64-v2 -- "$@"; }

# It may switch CPUID off and on for itself and gets a SIGSEGV of its own; it never sees the real CPU (AVX2: leaf 7, EBX, bit 5).
arch_cpuid >bare
cat bare
for how in "" --trap-only; do
    # shellcheck disable=SC2086
    cpulevel run $how --level x86-64-v2 -- arch_cpuid >levelled
    sed 's/\(answered\).*/\1/' levelled >levelled.calls
    equal "virtual_faulting$how" "$(sed 's/\(answered\).*/\1/' bare)" "$(cat levelled.calls)"
    real=
    for answer in $(sed -n 's/.*answered //p' levelled); do
        [ $((0x$answer & 0x20)) = 0 ] || real="$real $answer"
    done
    equal "never_the_real_cpu$how" "" "$real"
done
equal faults_for_it "fault.off=code 128 address (nil)" "$(grep fault.off= levelled)"

# A CPUID that faults forces a signal, which leaves its traces where SIGSEGV is blocked or ignored (docs/decisions/005): only what
# is neither is compared.
for state in default handler one_shot_handler handler_on_alternate_stack everything_blocked; do
    for how in "" --trap-only; do
        # shellcheck disable=SC2086
        equal "$state$how" "$(segv_state $state)" "$(cpulevel run $how --level x86-64-v2 -- segv_state $state)"
    done
done

for kind in filter_tight trace_action trap_action; do
    bare=$(sandbox $kind; echo "status $?")
    equal "sandbox_$kind" "$bare" "$(level sandbox $kind; echo "status $?")"
    equal "sandbox_$kind--trap-only" "$bare" "$(cpulevel run --trap-only --level x86-64-v2 -- sandbox $kind; echo "status $?")"
done
for kind in exec_prctl_fails exec_prctl_kills exec_prctl_traps filter_inherited no_new_privileges; do
    differ "sandbox_$kind" "$(sandbox $kind /lab/bin/made_code)" "$(level sandbox $kind /lab/bin/made_code)"
    equal "sandbox_${kind}_level" "$(level made_code)" "$(level sandbox $kind /lab/bin/made_code | grep leaf7)"
done
