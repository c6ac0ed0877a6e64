// Which implementation an indirect function (GNU ifunc) resolves to: the resolver runs CPUID inside ld.so's
// relocation processing, before main.
#include "common.h"

static const char* with_avx512(void) { return "avx512"; }
static const char* with_avx2(void) { return "avx2"; }
static const char* with_sse42(void) { return "sse4.2"; }
static const char* plain(void) { return "plain"; }

static const char* (*choose(void))(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") ? with_avx512
           : __builtin_cpu_supports("avx2")  ? with_avx2
           : __builtin_cpu_supports("sse4.2") ? with_sse42
                                              : plain;
}

const char* chosen(void) __attribute__((ifunc("choose")));

int main(void) {
    printf("chosen=%s\n", chosen());
    return 0;
}
