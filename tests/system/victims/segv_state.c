// CPUID must leave no trace in what a program has set up for SIGSEGV, although levelling makes it fault: disposition
// (with flags, mask and restorer), signal masks, pending signals and the alternate stack stay exactly what they were.
#define _GNU_SOURCE
#include <pthread.h>

#include "common.h"

struct state {
    unsigned char action[64];  // struct kernel_sigaction, raw: libc hides sa_restorer
    unsigned char mask[8];
    unsigned char pending[8];
    stack_t alternate;
    char status[512];
};

static void copy_line(const char* text, const char* key, char* to, size_t size) {
    const char* line = strstr(text, key);
    if (line != NULL) {
        const size_t length = strcspn(line, "\n") + 1;
        strncat(to, line, length < size - strlen(to) - 1 ? length : size - strlen(to) - 1);
    }
}

static struct state look(void) {
    struct state state;
    memset(&state, 0, sizeof state);
    syscall(SYS_rt_sigaction, SIGSEGV, NULL, state.action, 8);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, state.mask, 8);
    syscall(SYS_rt_sigpending, state.pending, 8);
    sigaltstack(NULL, &state.alternate);
    char text[8192] = "";
    FILE* file = fopen("/proc/thread-self/status", "re");
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    const char* keys[] = {"SigQ:", "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"};
    for (unsigned i = 1; i < sizeof keys / sizeof keys[0]; ++i) {
        copy_line(text, keys[i], state.status, sizeof state.status);
    }
    return state;
}

static uint64_t digest;
static volatile sig_atomic_t handled;

static void unchanged(const char* what) {
    const struct state before = look();
    for (int i = 0; i < 50; ++i) {
        MUST(cpuid_digest() == digest, "%s: CPUID answered otherwise", what);
    }
    const struct state after = look();
    MUST(memcmp(before.action, after.action, sizeof before.action) == 0, "%s: sigaction changed", what);
    MUST(memcmp(before.mask, after.mask, 8) == 0, "%s: mask changed", what);
    MUST(memcmp(before.pending, after.pending, 8) == 0, "%s: pending changed", what);
    MUST(memcmp(&before.alternate, &after.alternate, sizeof before.alternate) == 0, "%s: sigaltstack changed", what);
    MUST(strcmp(before.status, after.status) == 0, "%s: /proc status was\n%snow\n%s", what, before.status, after.status);
    MUST(handled == 0, "%s: the program's handler ran", what);
    printf("%s=unchanged\n", what);
}

static void on_segv(int signal, siginfo_t* info, void* context) {
    (void)signal, (void)info, (void)context;
    ++handled;
}

static void handle(int flags, int blocked_inside) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_segv;
    action.sa_flags = SA_SIGINFO | flags;
    sigemptyset(&action.sa_mask);
    if (blocked_inside != 0) {
        sigaddset(&action.sa_mask, blocked_inside);
    }
    sigaction(SIGSEGV, &action, NULL);
}

static void block(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal == 0) {
        sigfillset(&set);
    } else {
        sigaddset(&set, signal);
    }
    pthread_sigmask(how, &set, NULL);
}

static void all_states(const char* who) {
    char what[64];
#define CASE(name) (snprintf(what, sizeof what, "%s.%s", who, name), what)
    signal(SIGSEGV, SIG_DFL);
    unchanged(CASE("default"));
    block(SIG_BLOCK, SIGSEGV);
    unchanged(CASE("default_blocked"));
    signal(SIGSEGV, SIG_IGN);
    unchanged(CASE("ignored_blocked"));
    block(SIG_UNBLOCK, SIGSEGV);
    unchanged(CASE("ignored"));
    handle(0, 0);
    unchanged(CASE("handler"));
    handle(SA_RESETHAND, SIGUSR1);
    unchanged(CASE("one_shot_handler"));
    handle(SA_ONSTACK | SA_NODEFER | SA_RESTART, SIGUSR2);
    static char stack[64 * 1024];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = 0};
    MUST(sigaltstack(&alternate, NULL) == 0, "sigaltstack");
    unchanged(CASE("handler_on_alternate_stack"));
    block(SIG_BLOCK, SIGSEGV);
    unchanged(CASE("handler_blocked"));
    raise(SIGSEGV);  // thread-directed, stays pending
    unchanged(CASE("pending"));
    union sigval value = {.sival_int = 12};
    block(SIG_BLOCK, 0);
    pthread_sigqueue(pthread_self(), SIGRTMIN + 3, value);
    pthread_sigqueue(pthread_self(), SIGRTMIN + 3, value);
    unchanged(CASE("everything_blocked"));
    const stack_t none = {.ss_flags = SS_DISABLE};
    MUST(sigaltstack(&none, NULL) == 0, "sigaltstack");
    // The signals that were pending all the while still arrive, each as often as it was sent.
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGSEGV);
    sigaddset(&wanted, SIGRTMIN + 3);
    const struct timespec now = {0, 0};
    siginfo_t info;
    MUST(sigtimedwait(&wanted, &info, &now) == SIGSEGV, "the pending SIGSEGV is lost");
    MUST((info.si_code == SI_TKILL || info.si_code == SI_USER /* glibc's translation */) && info.si_pid == getpid(), "the pending SIGSEGV came back as code %d", info.si_code);
    for (int i = 0; i < 2; ++i) {
        MUST(sigtimedwait(&wanted, &info, &now) == SIGRTMIN + 3 && info.si_value.sival_int == 12, "a queued signal is lost");
    }
    MUST(sigtimedwait(&wanted, &info, &now) == -1 && errno == EAGAIN, "one signal too many");
    block(SIG_UNBLOCK, 0);
    printf("%s.pending_signals=arrived\n", who);
}

static void* in_thread(void* unused) {
    (void)unused;
    all_states("thread");
    return NULL;
}

// Also what exec hands down, when CPUID has been executed on the way (ld.so asks before main):
//   segv_state report   prints whether SIGSEGV is blocked and ignored
//   segv_state exec     blocks and ignores SIGSEGV and SIGUSR1, then executes "segv_state report"
int main(int argc, char** argv) {
    if (argc > 1 && strcmp(argv[1], "report") == 0) {
        sigset_t mask;
        sigprocmask(SIG_SETMASK, NULL, &mask);
        struct sigaction action;
        for (int signal = 1; signal < 65; ++signal) {
            if (syscall(SYS_rt_sigaction, signal, NULL, NULL, 8) == 0 && sigaction(signal, NULL, &action) == 0) {
                printf("signal%d=%s %s\n", signal, sigismember(&mask, signal) == 1 ? "blocked" : "open",
                       action.sa_handler == SIG_IGN ? "ignored" : action.sa_handler == SIG_DFL ? "default" : "handled");
            }
        }
        return 0;
    }
    digest = cpuid_digest();
    if (argc > 1 && strcmp(argv[1], "exec") == 0) {
        signal(SIGSEGV, SIG_IGN);
        signal(SIGUSR1, SIG_IGN);
        block(SIG_BLOCK, SIGSEGV);
        block(SIG_BLOCK, SIGTRAP);
        block(SIG_BLOCK, SIGUSR2);
        char* arguments[] = {argv[0], (char*)"report", NULL};
        execv("/proc/self/exe", arguments);
        return kWrong;
    }
    all_states("leader");
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, in_thread, NULL) == 0, "pthread_create");
    MUST(pthread_join(thread, NULL) == 0, "pthread_join");
    return 0;
}
