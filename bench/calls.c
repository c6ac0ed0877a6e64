// What a system call costs that nobody is interested in, under the ways to see those that somebody is interested in
// (docs/decisions/006-seeing-prctl.md). x86-64.
//
//     calls ROUNDS COUNT      a Markdown table: medians over the rounds, ns for one call
//
// bare            nothing
// filter          a seccomp filter as the supervisor's (src/engine/ptrace/call_filter.cpp), nobody attached
// traced          a tracer that stops at nothing of this: PTRACE_SEIZE
// traced, filter  what `cpulevel inherit` does
// PTRACE_SYSCALL  a tracer that stops at each entry and exit, and looks at nothing
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kPrctl = 157, kArchPrctl = 158, kPrSetMm = 35, kMostRounds = 101 };

struct setup {
    const char* name;
    int filter, traced, syscalls;
};
static const struct setup kSetups[] = {{"bare", 0, 0, 0},
                                       {"filter", 1, 0, 0},
                                       {"traced", 0, 1, 0},
                                       {"traced, filter", 1, 1, 0},
                                       {"PTRACE_SYSCALL", 0, 1, 1}};
enum { kSetupCount = sizeof kSetups / sizeof kSetups[0] };

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static void install_filter(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchPrctl, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kPrctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kPrSetMm, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter) != 0) fail("seccomp");
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void work(long count, double* result) {
    char byte = 0;
    const int from = open("/dev/zero", O_RDONLY);
    const int to = open("/dev/null", O_WRONLY);
    const double start = now();
    for (long i = 0; i < count; ++i) syscall(SYS_getppid);
    const double middle = now();
    for (long i = 0; i < count; ++i) {
        if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1) fail("read, write");
    }
    result[0] = (middle - start) / (double)count;
    result[1] = (now() - middle) / (double)count;
}

static void serve(pid_t child, int resume) {
    for (int status = 0; waitpid(child, &status, __WALL) == child && WIFSTOPPED(status);) {
        ptrace((enum __ptrace_request)resume, child, 0, 0);
    }
}

static void measure(const struct setup* setup, long count, double* result) {
    int results[2], go[2];
    if (pipe(results) != 0 || pipe(go) != 0) fail("pipe");
    const pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        char byte;
        double found[2];
        if (read(go[0], &byte, 1) != 1) _exit(1);
        if (setup->filter) install_filter();
        if (setup->syscalls) raise(SIGSTOP);  // from here on every call stops
        work(count, found);
        _exit(write(results[1], found, sizeof found) == sizeof found ? 0 : 1);
    }
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP;
    if (setup->traced && ptrace(PTRACE_SEIZE, child, 0, options) != 0) fail("PTRACE_SEIZE");
    if (write(go[1], "", 1) != 1) fail("write");
    serve(child, setup->syscalls ? PTRACE_SYSCALL : PTRACE_CONT);
    if (read(results[0], result, 2 * sizeof *result) != 2 * sizeof *result) fail("the child's result");
    close(results[0]), close(results[1]), close(go[0]), close(go[1]);
}

static int by_value(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 11;
    const long count = argc > 2 ? atol(argv[2]) : 20000;
    static double values[kSetupCount][2][kMostRounds];
    if (rounds < 1 || rounds > kMostRounds || count < 1) return 2;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < kSetupCount; ++i) {
            const int setup = round % 2 ? kSetupCount - 1 - i : i;
            double result[2];
            measure(&kSetups[setup], count, result);
            for (int k = 0; k < 2; ++k) values[setup][k][round] = result[k];
        }
    }
    printf("| | getppid, ns | read + write, ns | smallest | \n|---|---|---|---|\n");
    for (int setup = 0; setup < kSetupCount; ++setup) {
        for (int k = 0; k < 2; ++k) qsort(values[setup][k], (size_t)rounds, sizeof(double), by_value);
        printf("| %s | %.0f | %.0f | %.0f, %.0f |\n", kSetups[setup].name, values[setup][0][rounds / 2],
               values[setup][1][rounds / 2], values[setup][0][0], values[setup][1][0]);
    }
    return 0;
}
