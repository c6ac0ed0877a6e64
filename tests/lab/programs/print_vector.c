// The HWCAP words of this program, by each road that a program has: the stack (what its loader saw), /proc/self/auxv, and
// PR_GET_AUXV where the kernel has it. The roads must agree, or it says so and fails.
//   print_vector                       one line: hwcap=0x... hwcap2=0x... minsigstksz=N vl=N (SVE bytes, - if none)
//   print_vector exec PROGRAM ARGS...  becomes PROGRAM
//   print_vector signals               blocked and ignored signals, as /proc/self/status has them
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#ifndef AT_HWCAP3
#define AT_HWCAP3 29
#endif
enum { kSveGetLength = 51, kLengthMask = 0xffff, kMost = 64 };

struct entry {
    unsigned long type, value;
};

static unsigned length(const struct entry* vector) {
    unsigned n = 0;
    while (n < kMost && vector[n].type != AT_NULL) ++n;
    return n;
}

static const struct entry* find(const struct entry* vector, unsigned long type) {
    for (unsigned i = 0; i < length(vector); ++i) {
        if (vector[i].type == type) return &vector[i];
    }
    return NULL;
}

static void must_agree(const char* road, const struct entry* other, const struct entry* stack) {
    for (unsigned i = 0; i <= length(stack); ++i) {
        if (other[i].type != stack[i].type || other[i].value != stack[i].value) {
            printf("%s entry %u is %lu=0x%lx, on the stack %lu=0x%lx\n", road, i, other[i].type, other[i].value,
                   stack[i].type, stack[i].value);
            exit(1);
        }
    }
}

static void print(const char* name, const struct entry* vector, unsigned long type) {
    const struct entry* entry = find(vector, type);
    if (entry != NULL) printf("%s=0x%lx ", name, entry->value);
}

static void print_signals(void) {
    char line[256];
    FILE* status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0) fputs(line, stdout);
    }
}

int main(int argc, char** argv, char** envp) {
    if (argc > 2 && strcmp(argv[1], "exec") == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        return 127;
    }
    if (argc > 1 && strcmp(argv[1], "signals") == 0) {
        print_signals();
        return 0;
    }
    char** end = envp;
    while (*end != NULL) ++end;
    const struct entry* stack = (const struct entry*)(const void*)(end + 1);

    static struct entry other[kMost + 1];
    const int fd = open("/proc/self/auxv", O_RDONLY);
    if (fd < 0 || read(fd, other, sizeof other) <= 0) {
        perror("/proc/self/auxv");
        return 1;
    }
    must_agree("/proc/self/auxv", other, stack);
    memset(other, 0, sizeof other);
    if (prctl(PR_GET_AUXV, other, sizeof other, 0, 0) > 0) {
        must_agree("PR_GET_AUXV", other, stack);
    } else if (errno != EINVAL) {
        perror("PR_GET_AUXV");
        return 1;
    }
    print("hwcap", stack, AT_HWCAP);
    print("hwcap2", stack, AT_HWCAP2);
    print("hwcap3", stack, AT_HWCAP3);
    const struct entry* signal_stack = find(stack, AT_MINSIGSTKSZ);
    printf("minsigstksz=%lu ", signal_stack == NULL ? 0 : signal_stack->value);
    const int vector_length = prctl(kSveGetLength, 0, 0, 0, 0);
    if (vector_length < 0) {
        printf("vl=-\n");
    } else {
        printf("vl=%d\n", vector_length & kLengthMask);
    }
    return 0;
}
