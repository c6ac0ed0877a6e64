// Failed execs of every kind, by the leader and by another thread: afterwards everything must be as it was, and a
// following exec that succeeds must be levelled like any other.
//   failed_exec SCRATCH_FOLDER [PROGRAM ARGUMENT...]
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "common.h"

extern char** environ;

static const char* folder;
static uint64_t digest;

static const char* path_of(const char* name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_file(const char* name, mode_t mode, const void* content, size_t size) {
    const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, content, size) == (ssize_t)size && fchmod(fd, mode) == 0, "cannot make %s", name);
    close(fd);
}

static void fails(const char* what, const char* path, int expected) {
    char* arguments[] = {(char*)"victim", NULL};
    uint64_t before = 0, after = 0;
    struct sigaction action_before, action_after;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &before, sizeof before);
    sigaction(SIGSEGV, NULL, &action_before);
    errno = 0;
    const int result = execve(path, arguments, environ);
    const int error = errno;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &after, sizeof after);
    sigaction(SIGSEGV, NULL, &action_after);
    MUST(result == -1, "execve of %s gave %d", what, result);
    MUST(error == expected, "execve of %s: errno %d, not %d", what, error, expected);
    MUST(before == after, "signal mask changed by failed exec (%s)", what);
    MUST(action_before.sa_handler == action_after.sa_handler, "SIGSEGV's disposition changed (%s)", what);
    MUST(cpuid_digest() == digest, "CPUID changed by failed exec (%s)", what);
    printf("%s=%s\n", what, strerrorname_np(error));
}

static void all_failures(void) {
    const unsigned char elf_without_program[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
    make_file("not-executable", 0600, "#!/bin/sh\n", 10);
    make_file("no-format", 0700, "\1\2\3\4 no program\n", 16);
    make_file("empty", 0700, "", 0);
    make_file("broken-elf", 0700, elf_without_program, sizeof elf_without_program);
    make_file("no-interpreter", 0700, "#!/nonexistent/interpreter\n", 27);
    fails("missing", path_of("missing"), ENOENT);
    fails("not_executable", path_of("not-executable"), EACCES);
    fails("folder", folder, EACCES);
    fails("no_format", path_of("no-format"), ENOEXEC);
    fails("empty", path_of("empty"), ENOEXEC);
    fails("broken_elf", path_of("broken-elf"), ENOEXEC);
    fails("no_interpreter", path_of("no-interpreter"), ENOENT);
    fails("not_a_folder", path_of("no-format/x"), ENOTDIR);
    fails("null_path", NULL, EFAULT);
    const int fd = open(path_of("busy"), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    fails("busy", path_of("busy"), ETXTBSY);
    close(fd);
    static char long_argument[256 * 1024];
    memset(long_argument, 'x', sizeof long_argument - 1);
    char* arguments[] = {(char*)"victim", long_argument, NULL};
    MUST(execve("/bin/true", arguments, environ) == -1 && errno == E2BIG, "a long argument did not give E2BIG");
    printf("long_argument=E2BIG\n");
    MUST(cpuid_digest() == digest, "CPUID changed by E2BIG");
}

static void* in_thread(void* unused) {
    (void)unused;
    all_failures();
    return NULL;
}

int main(int argc, char** argv) {
    MUST(argc >= 2, "usage: failed_exec FOLDER [PROGRAM ARGUMENT...]");
    folder = argv[1];
    digest = cpuid_digest();
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGSEGV);
    sigprocmask(SIG_BLOCK, &some, NULL);
    all_failures();
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, in_thread, NULL) == 0, "pthread_create");
    MUST(pthread_join(thread, NULL) == 0, "pthread_join");
    printf("after_thread=alive\n");
    fflush(stdout);
    if (argc > 2) {
        execv(argv[2], argv + 2);
        MUST(0, "execv %s", argv[2]);
    }
    return 0;
}
