// Asks CPUID for each LEAF[:SUBLEAF] (hexadecimal) of the command line and prints the four registers. With --walk,
// asks every leaf that the answers themselves announce, with subleaves, and some beyond every maximum.
#include "common.h"

static void ask(uint32_t leaf, uint32_t subleaf) {
    const struct registers r = cpuid(leaf, subleaf);
    printf("%08x:%02x=%08x %08x %08x %08x\n", leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
}

static void walk(void) {
    const uint32_t basic = cpuid(0, 0).eax;
    const uint32_t extended = cpuid(0x80000000, 0).eax;
    MUST(basic < 0x200, "maximum basic leaf 0x%x", basic);
    MUST(extended >= 0x80000001 && extended < 0x80000200, "maximum extended leaf 0x%x", extended);
    for (uint32_t leaf = 0; leaf <= basic + 2; ++leaf) {
        for (uint32_t subleaf = 0; subleaf < 8; ++subleaf) {
            ask(leaf, subleaf);
        }
    }
    for (uint32_t leaf = 0x80000000; leaf <= extended + 2; ++leaf) {
        ask(leaf, 0);
        ask(leaf, 1);
    }
    const uint32_t strange[] = {0x40000000, 0x40000001, 0x40000010, 0x20000000, 0x7fffffff, 0x8fffffff, 0xc0000000, 0xffffffff};
    for (unsigned i = 0; i < sizeof strange / sizeof strange[0]; ++i) {
        ask(strange[i], 0);
        ask(strange[i], 0xffffffff);
    }
}

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--walk") == 0) {
            walk();
            continue;
        }
        char* end = argv[i];
        const uint32_t leaf = (uint32_t)strtoul(end, &end, 16);
        const uint32_t subleaf = *end == ':' ? (uint32_t)strtoul(end + 1, &end, 16) : 0;
        MUST(*end == '\0', "not LEAF[:SUBLEAF]: %s", argv[i]);
        ask(leaf, subleaf);
    }
    return 0;
}
