// Programs that lock themselves in with seccomp, and then execute CPUID or another program.
//   sandbox CASE [PROGRAM ARGUMENT...]
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

static uint64_t digest;
static char** command;

static void say(const char* text) {
    (void)!write(1, text, strlen(text));
}

static void cpuid_is_the_same(void) {
    for (int i = 0; i < 100; ++i) {
        if (cpuid_digest() != digest) {
            say("wrong=CPUID answered otherwise\n");
            syscall(SYS_exit, kWrong);
        }
    }
    say("cpuid=same\n");
}

static void strict(void) {
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0, "strict mode");
    cpuid_is_the_same();  // read, write, exit and sigreturn are all that is left
    syscall(SYS_exit, 21);
}

static void install(const struct sock_filter* code, unsigned short length) {
    const struct sock_fprog program = {.len = length, .filter = (struct sock_filter*)(uintptr_t)code};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

#define LOAD_NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define IF_CALL(number, what) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), RETURN(what)
#define LENGTH(code) (unsigned short)(sizeof(code) / sizeof((code)[0]))

// Everything but write and exit_group kills.
static void filter_tight(void) {
    const struct sock_filter code[] = {LOAD_NUMBER, IF_CALL(SYS_write, SECCOMP_RET_ALLOW),
                                       IF_CALL(SYS_exit_group, SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_KILL_PROCESS)};
    install(code, LENGTH(code));
    cpuid_is_the_same();
    syscall(SYS_exit_group, 22);
}

static void then_exec(void) {
    cpuid_is_the_same();
    execv(command[0], command);
    say("wrong=execv failed\n");
    _exit(kWrong);
}

// PROGRAM runs where prctl fails, or kills, or raises SIGSYS: a supervisor that makes calls in its name must not be
// the reason for its death.
static void exec_without_prctl(uint32_t action) {
    const struct sock_filter code[] = {LOAD_NUMBER, IF_CALL(SYS_prctl, action), RETURN(SECCOMP_RET_ALLOW)};
    install(code, LENGTH(code));
    then_exec();
}

static void exec_prctl_fails(void) { exec_without_prctl(SECCOMP_RET_ERRNO | EPERM); }
static void exec_prctl_kills(void) { exec_without_prctl(SECCOMP_RET_KILL_PROCESS); }
static void exec_prctl_traps(void) { exec_without_prctl(SECCOMP_RET_TRAP); }

// SECCOMP_RET_TRACE without a tracer that asked for it: the call fails with ENOSYS.
static void trace_action(void) {
    const struct sock_filter code[] = {LOAD_NUMBER, IF_CALL(SYS_getppid, SECCOMP_RET_TRACE | 7), RETURN(SECCOMP_RET_ALLOW)};
    install(code, LENGTH(code));
    errno = 0;
    const long result = syscall(SYS_getppid);
    printf("traced_call=%s errno %d\n", result == -1 ? "failed" : "done", errno);
    fflush(stdout);
    cpuid_is_the_same();
}

static volatile sig_atomic_t sigsys_call;

static void on_sigsys(int signal, siginfo_t* info, void* context) {
    (void)signal, (void)context;
    sigsys_call = info->si_syscall;
}

static void trap_action(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_sigsys;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, NULL);
    const struct sock_filter code[] = {LOAD_NUMBER, IF_CALL(SYS_getppid, SECCOMP_RET_TRAP), RETURN(SECCOMP_RET_ALLOW)};
    install(code, LENGTH(code));
    syscall(SYS_getppid);
    printf("sigsys=%d\n", sigsys_call == SYS_getppid);
    fflush(stdout);
    cpuid_is_the_same();
}

// The filter is inherited: fork, and exec in the child.
static void filter_inherited(void) {
    const struct sock_filter code[] = {LOAD_NUMBER, IF_CALL(SYS_getppid, SECCOMP_RET_ERRNO | 77), RETURN(SECCOMP_RET_ALLOW)};
    install(code, LENGTH(code));
    const pid_t child = fork();
    if (child == 0) {
        then_exec();
    }
    int status = 0;
    MUST(waitpid(child, &status, 0) == child, "waitpid");
    printf("child=%d\ncall=%ld\n", status, syscall(SYS_getppid) == -1 ? (long)errno : 0L);
}

static void no_new_privileges(void) {
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    then_exec();
}

// Memory is never both written and executed, and never becomes executable (Linux 6.3; systemd's MemoryDenyWriteExecute). Kept
// over exec.
static void no_new_code(void) {
    enum { kSetMdwe = 65, kRefuseExecGain = 1 };
    if (prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) != 0) {
        printf("unknown=%s\n", strerror(errno));
        return;
    }
    then_exec();
}

static const struct {
    const char* name;
    void (*run)(void);
} kCases[] = {
    {"strict", strict},
    {"filter_tight", filter_tight},
    {"exec_prctl_fails", exec_prctl_fails},
    {"exec_prctl_kills", exec_prctl_kills},
    {"exec_prctl_traps", exec_prctl_traps},
    {"trace_action", trace_action},
    {"trap_action", trap_action},
    {"filter_inherited", filter_inherited},
    {"no_new_privileges", no_new_privileges},
    {"no_new_code", no_new_code},
};

int main(int argc, char** argv) {
    digest = cpuid_digest();
    command = argv + 2;
    for (unsigned i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
        if (argc >= 2 && strcmp(argv[1], kCases[i].name) == 0) {
            kCases[i].run();
            return 0;
        }
    }
    MUST(0, "no such case");
}
