# A level is what programs see: the vector by every road, and CPUID by traps (TCG has no CPUID faulting).
# machines: x86_64
# programs: src/cli/cpulevel tests/lab/programs/print_vector
# host-programs: /lib64/ld-linux-x86-64.so.2
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
equal through_children "$levelled" "$(cpulevel run --level x86-64-v2 -- sh -c 'sh -c "print_vector; true"; true' 2>/dev/null)"
equal status_passes "7" "$(cpulevel run --level x86-64-v2 -- sh -c 'exit 7' 2>/dev/null; echo $?)"
