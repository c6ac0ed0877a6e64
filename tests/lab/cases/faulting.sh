# machines: faulting
# programs: src/cli/cpulevel tests/lab/programs/print_vector
cpulevel scan >scan.txt
cat scan.txt
succeeds works grep -q "CPUID faulting  works" scan.txt
succeeds v3 grep -q "x86-64-v3" scan.txt
