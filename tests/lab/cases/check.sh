# check tells what works here: ptrace, PR_SET_MM_MAP, and with CAP_SYS_RESOURCE also PR_SET_MM_AUXV.
# machines: x86_64 aarch64
# programs: src/cli/cpulevel
cpulevel check >check.txt 2>&1
status=$?
cat check.txt
# TCG has no CPUID faulting, which is what is missing on x86-64: status 3.
case $ARCH in x86_64) equal check_ends 3 $status ;; *) equal check_ends 0 $status ;; esac
cpulevel check --json >check.json
works() { tr -d ' \n' <check.json | grep -o "\"id\":\"$1\"[^}]*" | grep -o '"works":"\?[a-z]*' | tr -d '"' | cut -d: -f2; }
for id in ptrace set-mm-map set-mm-auxv seccomp; do
    equal "$id" yes "$(works $id)"
done
equal kernel-inheritance no "$(works kernel-inheritance)"
