// A program with a dynamic loader and no library, not even libc: it runs where there is hardly any room in the address space.
// Exits with 1 if CPUID shows AVX2, else with 2.
static void leave(long status) {
    __asm__ volatile("syscall" : : "a"(231L), "D"(status) : "rcx", "r11", "memory");  // exit_group
}

void _start(void) {
    unsigned a = 7, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    leave((b >> 5 & 1) != 0 ? 1 : 2);
    for (;;) {
    }
}
