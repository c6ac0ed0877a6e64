// CPUID from one site, N times (of leaf L: 1 has fields that are the CPU's own in every level); then nanoseconds for each on standard output. The first is not counted: an engine
// may prepare the site then.
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
    const long count = argc > 1 ? atol(argv[1]) : 1000;
    const unsigned leaf = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 1;
    struct timespec start, end;
    unsigned sum = 0;
    for (long i = -1; i < count; ++i) {
        unsigned a, b, c, d;
        if (i == 0) clock_gettime(CLOCK_MONOTONIC, &start);
        __cpuid_count(leaf, 0, a, b, c, d);
        sum += c;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double elapsed = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    printf("%.1f\n", elapsed / (double)count);
    return sum == 1;
}
