// spin FILE: writes its pid to FILE, and computes for ever. With the argument "vectors" before it, a register of SVE has a value
// meanwhile; no system call is done, since one would throw that away.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int use_vectors(void) {
#if defined(__aarch64__)
    __asm__ volatile(".arch armv8-a+sve\n\tptrue p0.b\n\tmov z0.b, #1" ::: "z0", "p0");
    return 1;
#else
    return 0;
#endif
}

int main(int argc, char** argv) {
    const int vectors = argc == 3 && strcmp(argv[1], "vectors") == 0;
    if (argc != 2 + vectors) return 2;
    FILE* file = fopen("pid.new", "w");
    if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0) return 1;
    // Before the vectors: renaming is a system call. Whoever looks at once may find no vectors yet, and looks again.
    if (rename("pid.new", argv[1 + vectors]) != 0) return 1;
    if (vectors && !use_vectors()) return 3;
    for (;;) {
    }
}
