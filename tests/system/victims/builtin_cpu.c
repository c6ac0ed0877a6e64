// What GCC's run-time detection says: libgcc's __builtin_cpu_supports and a function with target_clones (for which see
// ifunc_choice.c).
#include "common.h"

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "avx2", "sse4.2", "default"))) int clone_exists(int x) {
    return x + 1;
}

#define PRINT(feature) printf(feature "=%s\n", __builtin_cpu_supports(feature) ? "yes" : "no")

int main(void) {
    __builtin_cpu_init();
    PRINT("sse2");
    PRINT("sse3");
    PRINT("ssse3");
    PRINT("sse4.1");
    PRINT("sse4.2");
    PRINT("popcnt");
    PRINT("aes");
    PRINT("pclmul");
    PRINT("avx");
    PRINT("avx2");
    PRINT("fma");
    PRINT("bmi");
    PRINT("bmi2");
    PRINT("avx512f");
    PRINT("avx512vl");
    PRINT("gfni");
    PRINT("vaes");
    printf("sum=%d\n", clone_exists(41));
    return 0;
}
