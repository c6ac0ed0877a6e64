// A program that uses CPUID faulting itself (ARCH_GET_CPUID, ARCH_SET_CPUID). On a machine that has it, a levelled
// program must see what it set, but never get at the machine's own CPUID; on one that has not, it gets ENODEV.
// Prints the same lines bare and levelled, except `cpuid.*`.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <sys/wait.h>

#include "common.h"

enum { kArchGetCpuid = 0x1011, kArchSetCpuid = 0x1012 };

static sigjmp_buf back;
static siginfo_t caught;

static void on_segv(int signal, siginfo_t* info, void* context) {
    (void)signal, (void)context;
    caught = *info;
    siglongjmp(back, 1);
}

static void get(const char* when) {
    errno = 0;
    const long result = syscall(SYS_arch_prctl, kArchGetCpuid, 0);
    printf("get.%s=%ld errno %d\n", when, result, errno);
}

static void set(const char* when, int on) {
    errno = 0;
    const long result = syscall(SYS_arch_prctl, kArchSetCpuid, on);
    printf("set.%s=%ld errno %d\n", when, result, errno);
}

static void run(const char* when) {
    if (sigsetjmp(back, 1) == 0) {
        const struct registers r = cpuid(7, 0);
        printf("cpuid.%s=answered %08x\n", when, r.ebx);
    } else {
        printf("fault.%s=code %d address %p\n", when, caught.si_code, caught.si_addr);
    }
}

static void* in_thread(void* unused) {
    (void)unused;
    get("in_thread");
    run("in_thread");
    set("on_in_thread", 1);
    run("on_in_thread");
    return NULL;
}

int main(int argc, char** argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_segv;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    if (argc > 1) {
        get("after_exec");
        run("after_exec");
        return 0;
    }
    get("at_start");
    run("at_start");
    set("off", 0);
    get("off");
    run("off");
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        get("in_child");
        run("in_child");
        char* arguments[] = {argv[0], (char*)"after_exec", NULL};
        execv("/proc/self/exe", arguments);
        _exit(kWrong);
    }
    int status = 0;
    MUST(waitpid(child, &status, 0) == child, "waitpid");
    printf("child=%d\n", status);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, in_thread, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    get("leader_keeps");  // per thread
    set("on", 1);
    get("on");
    run("on");
    set("strange", 2);
    run("strange");
    return 0;
}
