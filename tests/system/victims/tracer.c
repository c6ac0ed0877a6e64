// A program that wants to trace its own children. A process has one tracer; under the ptrace engine that is the
// supervisor, so these calls fail with EPERM, and nothing else may go wrong.
#define _GNU_SOURCE
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "common.h"

static void say(const char* what, long result) {
    printf("%s=%s\n", what, result == 0 ? "done" : strerrorname_np(errno));
    fflush(stdout);
}

int main(void) {
    const uint64_t digest = cpuid_digest();
    pid_t child = fork();
    if (child == 0) {
        say("traceme", ptrace(PTRACE_TRACEME, 0, 0, 0));
        _exit(cpuid_digest() == digest ? 5 : kWrong);
    }
    int status = 0;
    MUST(waitpid(child, &status, 0) == child, "waitpid");
    printf("child=%d\n", status);
    fflush(stdout);

    int ends[2];
    MUST(pipe(ends) == 0, "pipe");
    child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        (void)!read(ends[0], &byte, 1);  // until the parent has tried
        _exit(cpuid_digest() == digest ? 6 : kWrong);
    }
    const long seized = ptrace(PTRACE_SEIZE, child, 0, 0);
    say("seize", seized);
    if (seized == 0) {
        ptrace(PTRACE_INTERRUPT, child, 0, 0);
        waitpid(child, &status, __WALL);
        ptrace(PTRACE_DETACH, child, 0, 0);
    }
    close(ends[1]);
    MUST(waitpid(child, &status, 0) == child, "waitpid");
    printf("child=%d\n", status);
    return 0;
}
