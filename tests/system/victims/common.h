// Shared by the victims. A victim is a small program that finds out something about the process that it is, and
// prints it as lines `key=value`; the runner compares what it says bare with what it says levelled. A victim that
// finds itself in a state that can never be right prints `wrong=...` and exits with kWrong.
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kWrong = 99 };

#define MUST(condition, ...)                            \
    do {                                                \
        if (!(condition)) {                             \
            int must_errno = errno;                     \
            printf("wrong=" __VA_ARGS__);               \
            printf(" (%s:%d, errno %d: %s)\n", __FILE__, __LINE__, must_errno, strerror(must_errno)); \
            fflush(stdout);                             \
            _exit(kWrong);                              \
        }                                               \
    } while (0)

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

// Not inlined, so that each program has one known CPUID instruction of its own, in a function with a symbol.
static __attribute__((noinline, unused)) struct registers cpuid(uint32_t leaf, uint32_t subleaf) {
    struct registers r = {leaf, 0, subleaf, 0};
    __asm__ volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

// A number that tells levelled from bare and is the same on every CPU of the machine: the feature words that
// programs dispatch on. Used where a victim asks many times and must always get the same answer.
static __attribute__((unused)) uint64_t cpuid_digest(void) {
    const struct registers one = cpuid(1, 0);
    const struct registers seven = cpuid(7, 0);
    const uint32_t words[] = {one.ecx, one.edx, seven.ebx, seven.ecx, seven.edx};
    uint64_t digest = 1469598103934665603ULL;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; ++i) {
        digest = (digest ^ words[i]) * 1099511628211ULL;
    }
    return digest;
}
