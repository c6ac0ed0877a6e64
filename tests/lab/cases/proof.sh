# The proof of inheritance (tests/proof), under `cpulevel inherit` and under a level; bare it must fail, or it shows nothing.
# machines: x86_64 aarch64
# programs: src/cli/cpulevel tests/proof/proof tests/proof/proof_32
# time: 300
# The proof's lines are "ok RULE CASE" and "FAILED RULE CASE: why"; a case may be skipped only for what a machine lacks.
tell() {
    sed -n -e "s/^ok  *\([^ ]*\)  *\([^ ]*\).*/ok $1.rule\1.\2/p" \
        -e "s/^FAILED  *\([^ ]*\)  *\([^ :]*\):* *\(.*\)/FAILED $1.rule\1.\2 \3/p" \
        -e "/Linux 6.4/s/^SKIPPED  *\([^ ]*\)  *\([^ ]*\) *\(.*\)/SKIPPED $1.rule\1.\2 \3/p" \
        -e "/Linux 6.4/!s/^SKIPPED  *\([^ ]*\)  *\([^ ]*\) *\(.*\)/FAILED $1.rule\1.\2 skipped: \3/p" proof.txt
}
prove() {  # NAME COMMAND...
    prove_name=$1
    shift
    "$@" >proof.txt 2>proof.err
    prove_status=$?
    tell "$prove_name"
    equal "$prove_name.status" 0 "$prove_status"
    [ "$prove_status" = 0 ] || sed 's/^/proof said: /' proof.err proof.txt | tail -n 30
}
proof=/lab/bin/proof proof_32=/lab/bin/proof_32
chmod 755 /lab /lab/bin
prove control $proof --other $proof_32 --control
prove inherit cpulevel inherit -- $proof --other $proof_32
prove inherit_32 cpulevel inherit -- $proof_32 --other $proof
case $ARCH in x86_64) level=x86-64-v2 ;; *) level=armv8.0-a ;; esac
prove run cpulevel run --level $level -- $proof --other $proof_32
