# A level is what programs see: the vector by every road, and CPUID by traps (TCG has no CPUID faulting).
# machines: x86_64
# programs: src/cli/cpulevel tests/lab/programs/print_vector
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
loader=/lib64/ld-linux-x86-64.so.2
folders() { "$@" $loader --help | sed -n 's/^ *\(x86-64-v[234]\) (supported.*/\1/p' | tr '\n' ' '; }

# hwcap2 bit 1 is FSGSBASE, which v2 does not have.
bare=$(print_vector) || failed bare_vector "$bare"
levelled=$(cpulevel run --level x86-64-v2 -- print_vector 2>/dev/null) || failed vector_agrees "$levelled"
echo "bare     $bare"
echo "levelled $levelled"
case $levelled in hwcap=*) ok vector_agrees ;; esac
case $MACHINE in
    nehalem) equal folders_bare "x86-64-v2 " "$(folders)" ;;
    *)
        equal folders_bare "x86-64-v3 x86-64-v2 " "$(folders)"
        differ vector_differs "$bare" "$levelled"
        ;;
esac
equal folders_levelled "x86-64-v2 " "$(folders cpulevel run --level x86-64-v2 -- 2>/dev/null)"
equal folders_lower "" "$(folders cpulevel run --level x86-64 -- 2>/dev/null)"
# What OpenSSL goes by, as it says: CPUID.1:EDX and ECX, with CPUID.7:EBX behind the colon. Of ECX: SSE4.2 is bit 20, XSAVE 26, AVX 28;
# of EBX: AVX2 is bit 5.
openssl_sees() { "$@" /usr/bin/openssl version -c | sed -n 's/.*OPENSSL_ia32cap=0x\([0-9a-f]*\):0x\([0-9a-f]*\).*/0x\1 0x\2/p'; }
has() { # NAME BIT WORD
    [ $((($3 >> $2) & 1)) = 1 ] && printf '%s ' "$1"
}
features() { has sse4.2 52 "$1"; has xsave 58 "$1"; has avx 60 "$1"; has avx2 5 "$2"; }
# shellcheck disable=SC2046
{
    openssl_bare=$(features $(openssl_sees))
    openssl_levelled=$(features $(openssl_sees cpulevel run --level x86-64-v2 -- 2>/dev/null))
    openssl_lower=$(features $(openssl_sees cpulevel run --level x86-64 -- 2>/dev/null))
    openssl_knobs=$(features $(openssl_sees cpulevel run --knobs --level x86-64 -- 2>/dev/null))
}
case $MACHINE in
    nehalem) equal openssl_bare "sse4.2 " "$openssl_bare" ;;
    *) equal openssl_bare "sse4.2 xsave avx avx2 " "$openssl_bare" ;;
esac
equal openssl_levelled "sse4.2 " "$openssl_levelled"
equal openssl_lower "" "$openssl_lower"
equal openssl_knobs "" "$openssl_knobs"

# By decoding, and the report says that this is not all: JIT compilers, and places that it cannot decide.
cpulevel run --level x86-64-v2 --report report.json -- /usr/bin/openssl version >/dev/null 2>said
if grep -q "^cpulevel: warning: CPUID: partial" said; then ok coverage_partial; else failed coverage_partial "$(cat said)"; fi
undecided=$(tr -d ' \n' <report.json | sed -n 's/.*"library":"[^"]*libcrypto[^}]*"undecided_sites":\([0-9]*\).*/\1/p')
case $undecided in [0-9]*) ok "undecided_counted" ;; *) failed undecided_counted "$(cat report.json)" ;; esac

equal through_children "$levelled" "$(cpulevel run --level x86-64-v2 -- sh -c 'sh -c "print_vector; true"; true' 2>/dev/null)"
equal status_passes "7" "$(cpulevel run --level x86-64-v2 -- sh -c 'exit 7' 2>/dev/null; echo $?)"
