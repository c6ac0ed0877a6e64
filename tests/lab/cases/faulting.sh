# Where the CPU has CPUID faulting the level is all that programs see: in code that no file has, too.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/self_made_code tests/system/victims/print_level tests/system/victims/print_level_static
# programs: tests/system/victims/looks_up
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 120
cpulevel scan >scan.txt
cat scan.txt
succeeds scan_says_it grep -q "^CPUID faulting  works" scan.txt
succeeds scan_level grep -qw "x86-64-v3" scan.txt
cpulevel check --json >check.json
check_says() { tr -d ' \n' <check.json | grep -o "\"id\":\"$1\"[^}]*" | grep -o '"works":"\?[a-z]*' | tr -d '"' | cut -d: -f2; }
equal check_says_it yes "$(check_says cpuid-faulting)"

# Nothing is said before the program starts, since nothing is left out; and who wants all gets it.
equal nothing_to_say "" "$(cpulevel run --level x86-64-v2 -- true 2>&1)"
succeeds require_full cpulevel run --require-full --level x86-64-v2 -- true

loader=/lib64/ld-linux-x86-64.so.2
folders() { "$@" $loader --help | sed -n 's/^ *\(x86-64-v[234]\) (supported.*/\1/p' | tr '\n' ' '; }
# What OpenSSL goes by: of CPUID.1:ECX AVX, of CPUID.7:EBX AVX2.
openssl_sees() {
    # shellcheck disable=SC2046
    set -- $("$@" /usr/bin/openssl version -c | sed -n 's/.*OPENSSL_ia32cap=0x\([0-9a-f]*\):0x\([0-9a-f]*\).*/0x\1 0x\2/p')
    echo "avx=$((($1 >> 60) & 1)) avx2=$((($2 >> 5) & 1))"
}
equal folders_bare "x86-64-v3 x86-64-v2 " "$(folders)"
equal openssl_bare "avx=1 avx2=1" "$(openssl_sees)"
for how in "" --trap-only --no-patch; do
    # shellcheck disable=SC2086
    {
        equal "folders$how" "x86-64-v2 " "$(folders cpulevel run $how --level x86-64-v2 --)"
        equal "openssl$how" "avx=0 avx2=0" "$(openssl_sees cpulevel run $how --level x86-64-v2 --)"
        equal "openssl_v3$how" "avx=1 avx2=1" "$(openssl_sees cpulevel run $how --level x86-64-v3 --)"
    }
done
equal folders_lower "" "$(folders cpulevel run --level x86-64 --)"

# Code made at run time: CPUID.7:EBX, of which AVX2 is bit 5, BMI1 bit 3.
made() { "$@" self_made_code | sed -n 's/^made.leaf7.ebx=//p'; }
made_bare=$(made)
made_levelled=$(made cpulevel run --level x86-64-v2 --)
echo "made code: bare $made_bare, levelled $made_levelled"
equal made_bare 40 $((made_bare & 0x28))
equal made_levelled 0 $((made_levelled & 0x28))
equal made_is_as_own "" "$(cpulevel run --level x86-64-v2 -- self_made_code | cut -d= -f2 | uniq | sed 1d)"

# A report of a program that has CPUID of each kind: in memory, and by a stop.
cpulevel run --level x86-64-v2 --report report.json -- self_made_code >/dev/null
tr -d ' \n' <report.json >report.line
succeeds report_method grep -q '"cpuid_method":"CPUIDfaulting"' report.line
cat report.line
echo
