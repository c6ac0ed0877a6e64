# 32-bit programs have CPUID faulting as well.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/print_level tests/system/victims/print_level_32_static tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
words() { sed -n 's/^leaf/&/p'; }
bare=$(print_level_32_static | words)
levelled=$(cpulevel run --level x86-64-v2 -- print_level_32_static | words)
differ differs "$bare" "$levelled"
equal as_64_bit "$(cpulevel run --level x86-64-v2 -- print_level | words)" "$levelled"
equal trap_only "$levelled" "$(cpulevel run --trap-only --level x86-64-v2 -- print_level_32_static | words)"
equal starts_a_64_bit_one "$(cpulevel run --level x86-64-v2 -- made_code)" \
    "$(cpulevel run --level x86-64-v2 -- sh -c 'print_level_32_static >/dev/null; made_code')"
