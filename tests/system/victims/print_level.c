// What a program can find out about its CPU: its auxiliary vector by all three roads, and CPUID. The three roads
// must agree with each other, bare or levelled.
//   print_level [--no-prctl] [--stack-only] [--through-loader] [label]
// --no-prctl: do not call prctl (for runs under a seccomp filter that forbids it).
// --stack-only: do not compare the roads.
// --through-loader: ld.so, started as a program, rewrites AT_PHDR, AT_PHNUM, AT_ENTRY and AT_EXECFN on the
// stack: not compared.
#include <elf.h>
#include <fcntl.h>

#include "common.h"

// Not from headers: musl-gcc does not see the kernel's, and old ones lack these.
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef AT_HWCAP3
#define AT_HWCAP3 29
#define AT_HWCAP4 30
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum { kMaximumEntries = 64 };

struct entry {
    unsigned long type, value;
};

// Entries before AT_NULL.
static unsigned length(const struct entry* vector) {
    unsigned n = 0;
    while (n < kMaximumEntries && vector[n].type != AT_NULL) {
        ++n;
    }
    return n;
}

static const struct entry* find(const struct entry* vector, unsigned long type) {
    for (unsigned i = 0; i < length(vector); ++i) {
        if (vector[i].type == type) {
            return &vector[i];
        }
    }
    return NULL;
}

static void print_entry(const char* name, const struct entry* vector, unsigned long type) {
    const struct entry* entry = find(vector, type);
    if (entry == NULL) {
        printf("%s=absent\n", name);
    } else {
        printf("%s=0x%lx\n", name, entry->value);
    }
}

static int through_loader;

static int rewritten_by_loader(unsigned long type) {
    return through_loader && (type == AT_PHDR || type == AT_PHNUM || type == AT_ENTRY || type == AT_EXECFN);
}

// The whole vectors must agree, not only the entries that are levelled. The text of AT_PLATFORM is compared, not
// the pointer: a levelled AT_PLATFORM may be stored elsewhere by each road.
static void must_agree(const char* road, const struct entry* other, const struct entry* stack) {
    MUST(length(other) == length(stack), "%s has %u entries, the stack %u", road, length(other), length(stack));
    for (unsigned i = 0; i < length(stack); ++i) {
        MUST(other[i].type == stack[i].type, "%s entry %u is type %lu, on the stack %lu", road, i, other[i].type,
             stack[i].type);
        MUST(rewritten_by_loader(stack[i].type) || other[i].value == stack[i].value, "%s type %lu is 0x%lx, on the stack 0x%lx", road, stack[i].type,
             other[i].value, stack[i].value);
    }
}

int main(int argc, char** argv, char** envp) {
    int use_prctl = 1, use_proc = 1;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--no-prctl") == 0) {
            use_prctl = 0;
        } else if (strcmp(argv[i], "--stack-only") == 0) {
            use_prctl = use_proc = 0;
        } else if (strcmp(argv[i], "--through-loader") == 0) {
            through_loader = 1;
        } else {
            printf("label=%s\n", argv[i]);
        }
    }
    while (*envp != NULL) {
        ++envp;
    }
    const struct entry* stack = (const struct entry*)(envp + 1);

    static struct entry from_proc[kMaximumEntries + 1];
    const int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
    if (!use_proc) {
        printf("proc_auxv=not asked\n");
    } else if (fd < 0) {
        printf("proc_auxv=unavailable\n");
    } else {
        const ssize_t size = read(fd, from_proc, sizeof from_proc - sizeof from_proc[0]);
        MUST(size > 0, "/proc/self/auxv cannot be read");
        close(fd);
        must_agree("/proc/self/auxv", from_proc, stack);
        printf("proc_auxv=agrees\n");
    }

    static struct entry from_prctl[kMaximumEntries + 1];
    if (!use_prctl) {
        printf("prctl_auxv=not asked\n");
    } else if (syscall(SYS_prctl, PR_GET_AUXV, from_prctl, sizeof from_prctl - sizeof from_prctl[0], 0, 0) < 0) {
        printf("prctl_auxv=unavailable\n");
    } else {
        must_agree("PR_GET_AUXV", from_prctl, stack);
        printf("prctl_auxv=agrees\n");
    }

    print_entry("hwcap", stack, AT_HWCAP);
    print_entry("hwcap2", stack, AT_HWCAP2);
    print_entry("hwcap3", stack, AT_HWCAP3);
    print_entry("hwcap4", stack, AT_HWCAP4);
    print_entry("minsigstksz", stack, AT_MINSIGSTKSZ);
    print_entry("secure", stack, AT_SECURE);
    const struct entry* platform = find(stack, AT_PLATFORM);
    printf("platform=%s\n", platform == NULL ? "absent" : (const char*)platform->value);
    printf("bits=%u\n", (unsigned)(8 * sizeof(void*)));

    const struct registers one = cpuid(1, 0);
    const struct registers seven = cpuid(7, 0);
    const struct registers extended = cpuid(0x80000001, 0);
    printf("leaf1.ecx=0x%08x\nleaf1.edx=0x%08x\n", one.ecx, one.edx);
    printf("leaf7.ebx=0x%08x\nleaf7.ecx=0x%08x\nleaf7.edx=0x%08x\n", seven.ebx, seven.ecx, seven.edx);
    printf("leaf80000001.ecx=0x%08x\nleaf80000001.edx=0x%08x\n", extended.ecx, extended.edx);
    fflush(stdout);
    return 0;
}
