// The first exec of a file, N times: each time of a fresh copy of PROGRAM, which no cache of anybody's knows by inode or time.
// Nanoseconds for each exec on standard output; copying is not counted.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static int copy(const char* from, const char* to) {
    static char bytes[1 << 20];
    const int in = open(from, O_RDONLY);
    const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (in < 0 || out < 0) return 0;
    ssize_t got;
    while ((got = read(in, bytes, sizeof bytes)) > 0) {
        if (write(out, bytes, (size_t)got) != got) return 0;
    }
    close(in);
    return close(out) == 0 && got == 0;
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: cold COUNT PROGRAM COPY\n");
        return 2;
    }
    const long count = atol(argv[1]);
    double total = 0;
    for (long left = count; left > 0; --left) {
        unlink(argv[3]);
        if (!copy(argv[2], argv[3])) return 1;
        char* const arguments[] = {argv[3], NULL};
        struct timespec start, end;
        pid_t pid;
        int status;
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (posix_spawn(&pid, argv[3], NULL, NULL, arguments, environ) != 0) return 1;
        if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
        clock_gettime(CLOCK_MONOTONIC, &end);
        total += (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    }
    unlink(argv[3]);
    printf("%.1f\n", total / (double)count);
    return 0;
}
