// A traveller works and checks its own results, is moved to another machine, and goes on. It learns that it has arrived from
// the file `arrived` in its folder; then it also does what it has never done before (lazily bound calls, new threads).
// Where a file `report` appears, it makes one more round and takes the file away: it lives and computes here.
// "working" in its output says that it may be dumped, "passed" and status 0 that every result was right, before and after.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            dprintf(1, "wrong: %s, line %d: %s\n", __FILE__, __LINE__, #condition);   \
            _exit(1);                                                                 \
        }                                                                             \
    } while (0)

// A guard for what is bound lazily, at the very end of the stack of the function that makes the call. The resolver saves vector
// registers just below it, in as many bytes as it was told at the program's start; a CPU with more components writes beyond
// them: MPX's bounds end some hundred bytes higher, AVX-512 some thousand. What lies there otherwise may not matter.
enum { kGuardWords = 512 };
#define GUARD(name)                                                                        \
    volatile uint64_t* const name = __builtin_alloca(kGuardWords * sizeof(uint64_t));            \
    for (unsigned at = 0; at < kGuardWords; ++at) name[at] = 0x5a5a5a5a5a5a5a5aULL + at

static inline void check_guard(const volatile uint64_t* guard) {
    for (unsigned at = 0; at < kGuardWords; ++at) CHECK(guard[at] == 0x5a5a5a5a5a5a5a5aULL + at);
}

static inline int arrived(void) { return access("arrived", F_OK) == 0; }

static inline uint32_t next_random(uint32_t* state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

// Calls round() until arrival and a while longer, then fresh(), which is called once.
static inline int travel(void (*round)(uint32_t* state), void (*fresh)(void)) {
    uint32_t state = 12345;
    round(&state);
    dprintf(1, "working\n");
    while (!arrived()) {
        const int asked = access("report", F_OK) == 0;
        round(&state);
        if (asked) unlink("report");
    }
    for (int i = 0; i < 50; ++i) round(&state);
    if (fresh) fresh();
    for (int i = 0; i < 50; ++i) round(&state);
    dprintf(1, "passed\n");
    return 0;
}
