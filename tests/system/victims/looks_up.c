// Looks its CPU up again and again, as programs do at their start: two CPUID instructions in one function, whose answers have to
// belong together, and a while between them. Prints how many lookups were of two CPUs at once, and how often a whole
// lookup found another CPU than the one before.
#include <time.h>

#include "common.h"

static volatile sig_atomic_t ends;

static void on_term(int number) {
    (void)number;
    ends = 1;
}

static __attribute__((always_inline)) inline uint32_t features(void) {
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx;
}

static __attribute__((noinline)) void look_up(uint32_t* first, uint32_t* second) {
    *first = features();
    for (volatile unsigned i = 0; i < 6000000; ++i) {
    }
    *second = features();
}

int main(void) {
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    printf("ready=1\n");
    fflush(stdout);
    long mixed = 0, changes = 0, lookups = 0;
    uint32_t before = 0;
    while (!ends) {
        uint32_t first, second;
        look_up(&first, &second);
        mixed += first != second;
        changes += lookups++ != 0 && second != before;
        before = second;
        // Longer than a lookup: whoever wants to find it outside of one does, soon.
        const struct timespec little = {0, 10000000};
        nanosleep(&little, NULL);
    }
    printf("lookups=%ld\nmixed=%ld\nchanges=%ld\n", lookups, mixed, changes);
    return 0;
}
