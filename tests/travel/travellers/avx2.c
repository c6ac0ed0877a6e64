// A program with code of its own for AVX2 and FMA, chosen by CPUID: at a level that shows them it uses them wherever it is.
#include "string_work.h"

enum { kNumbers = 333 };

__attribute__((target("avx2,fma"), optimize("O3", "tree-vectorize"), noinline)) static double wide_sum(const float* a, const int32_t* b) {
    float products[kNumbers];
    int32_t sums[kNumbers];
    for (int i = 0; i < kNumbers; ++i) {
        products[i] = a[i] * a[i] + 1.0F;
        sums[i] = b[i] * 3 + (b[i] >> 2);
    }
    double total = 0;
    for (int i = 0; i < kNumbers; ++i) total += (double)products[i] + (double)sums[i];
    return total;
}

static double plain_sum(const float* a, const int32_t* b) {
    double total = 0;
    for (int i = 0; i < kNumbers; ++i) {
        volatile const int32_t one = b[i];
        total += (double)(a[i] * a[i] + 1.0F) + (double)(one * 3 + (one >> 2));
    }
    return total;
}

static void work(uint32_t* state) {
    float a[kNumbers];
    int32_t b[kNumbers];
    for (int i = 0; i < kNumbers; ++i) {
        a[i] = (float)(next_random(state) % 1000);  // exact in every order and with or without a fused step
        b[i] = (int32_t)(next_random(state) % 100000) - 50000;
    }
    CHECK(wide_sum(a, b) == plain_sum(a, b));
    string_work(state);
}

int main(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        dprintf(1, "wrong: AVX2 and FMA are not shown\n");
        return 1;
    }
    return travel(work, NULL);
}
