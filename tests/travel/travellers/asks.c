// Asks CPUID itself, again and again, and gets the answers of its first time wherever it is: the level's, from its own memory. The
// leaves that say what there is, by the header's functions and by instructions of its own.
#include <cpuid.h>

#include "traveller.h"

enum { kQuestions = 6 };
static const unsigned questions[kQuestions][2] = {{0, 0}, {7, 0}, {0xd, 0}, {0xd, 1}, {0x80000001, 0}, {1, 0}};
static unsigned first[kQuestions][4];

static void ask(unsigned which, unsigned answer[4]) {
    __cpuid_count(questions[which][0], questions[which][1], answer[0], answer[1], answer[2], answer[3]);
    if (questions[which][0] == 1) answer[1] = 0;  // which CPU this is, of those that are there
    if (questions[which][0] == 0xd) answer[1] = 0;  // the size for what is switched on
}

static void check(unsigned which) {
    unsigned answer[4];
    // Beyond its last leaf an Intel CPU answers with that one, which may be where this thread runs.
    if (questions[which][0] < 0x80000000U && questions[which][0] > first[0][0]) return;
    ask(which, answer);
    for (unsigned i = 0; i < 4; ++i) {
        if (answer[i] == first[which][i]) continue;
        dprintf(1, "wrong: leaf %x, subleaf %x, word %u: %x, and was %x\n", questions[which][0], questions[which][1], i, answer[i],
                first[which][i]);
        _exit(1);
    }
}

static void compare(uint32_t* state) {
    check(next_random(state) % kQuestions);
    for (volatile unsigned rest = 0; rest < 20000; ++rest) {
    }
}

static void everything(void) {
    for (unsigned which = 0; which < kQuestions; ++which) check(which);
    CHECK(__get_cpuid_max(0, NULL) == first[0][0]);
    __builtin_cpu_init();
    CHECK(!!__builtin_cpu_supports("avx2") == !!(first[1][1] & bit_AVX2));
}

int main(void) {
    for (unsigned which = 0; which < kQuestions; ++which) ask(which, first[which]);
    return travel(compare, everything);
}
