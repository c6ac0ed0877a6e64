// A CPU-bound run: integer and memory work, no system calls.
#include <stdint.h>
#include <stdlib.h>

int main(int argc, char** argv) {
    static uint64_t table[1 << 15];
    uint64_t x = 88172645463325252ULL;
    for (long left = argc > 1 ? atol(argv[1]) : 100000000; left > 0; --left) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        table[x & 0x7fff] += x;
    }
    return table[x & 0x7fff] == 0;
}
