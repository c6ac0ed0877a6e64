// CPUID must leave no trace in what a program has set up for SIGSEGV, although levelling makes it fault: disposition
// (with flags, mask and restorer), signal masks, pending signals and the alternate stack stay exactly what they were.
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>

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
    uint64_t answer = digest;
    for (int i = 0; i < 50 && answer == digest; ++i) {
        answer = cpuid_digest();
    }
    const struct state after = look();
    printf("%s=", what);
    if (answer != digest) {
        printf("CPUID answered otherwise");
    } else if (memcmp(before.action, after.action, sizeof before.action) != 0) {
        printf("sigaction CHANGED");
    } else if (memcmp(before.mask, after.mask, 8) != 0) {
        printf("mask CHANGED");
    } else if (memcmp(before.pending, after.pending, 8) != 0) {
        printf("pending signals CHANGED");
    } else if (memcmp(&before.alternate, &after.alternate, sizeof before.alternate) != 0) {
        printf("alternate stack CHANGED");
    } else if (strcmp(before.status, after.status) != 0) {
        printf("/proc status CHANGED, was\n%snow\n%s", before.status, after.status);
    } else if (handled != 0) {
        printf("CHANGED: the program's handler ran");
    } else {
        printf("unchanged");
    }
    printf("\n");
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

static void by_default(void) { signal(SIGSEGV, SIG_DFL); }

static void blocked(void) { block(SIG_BLOCK, SIGSEGV); }

static void ignored(void) { signal(SIGSEGV, SIG_IGN); }

static void ignored_and_blocked(void) {
    ignored();
    blocked();
}

static void handler(void) { handle(0, 0); }

static void one_shot_handler(void) { handle(SA_RESETHAND, SIGUSR1); }

static void handler_on_alternate_stack(void) {
    static char stack[64 * 1024];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = 0};
    MUST(sigaltstack(&alternate, NULL) == 0, "sigaltstack");
    handle(SA_ONSTACK | SA_NODEFER | SA_RESTART, SIGUSR2);
}

static void handler_and_blocked(void) {
    handler_on_alternate_stack();
    blocked();
}

static void pending(void) {
    handler_and_blocked();
    raise(SIGSEGV);
}

static void everything_blocked(void) { block(SIG_BLOCK, 0); }

static void everything_blocked_with_handler(void) {
    handler();
    everything_blocked();
}

static void everything_pending(void) {
    const union sigval value = {.sival_int = 12};
    everything_blocked_with_handler();
    raise(SIGSEGV);
    pthread_sigqueue(pthread_self(), SIGRTMIN + 3, value);
    pthread_sigqueue(pthread_self(), SIGRTMIN + 3, value);
}

// The signals that were pending all the while still arrive, each as often as it was sent.
static void take_pending(const char* what) {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGSEGV);
    sigaddset(&wanted, SIGRTMIN + 3);
    const struct timespec now = {0, 0};
    siginfo_t info;
    while (sigtimedwait(&wanted, &info, &now) > 0) {
        printf("%s.arrived%d=value %d\n", what, info.si_signo, info.si_signo == SIGSEGV ? 0 : info.si_value.sival_int);
    }
}

static const struct setting {
    const char* name;
    void (*make)(void);
} kSettings[] = {
    {"default", by_default},
    {"blocked", blocked},
    {"ignored", ignored},
    {"ignored_and_blocked", ignored_and_blocked},
    {"handler", handler},
    {"one_shot_handler", one_shot_handler},
    {"handler_on_alternate_stack", handler_on_alternate_stack},
    {"handler_and_blocked", handler_and_blocked},
    {"pending", pending},
    {"everything_blocked", everything_blocked},
    {"everything_blocked_with_handler", everything_blocked_with_handler},
    {"everything_pending", everything_pending},
};
enum { kSettingCount = sizeof kSettings / sizeof kSettings[0] };

static void* try_setting(void* of) {
    const struct setting* setting = of;
    setting->make();
    unchanged(setting->name);
    take_pending(setting->name);
    fflush(stdout);
    return NULL;
}

// Each setting in a process of its own: what goes wrong in one says nothing of the others.
static void in_child(const struct setting* setting, int in_thread) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        if (in_thread) {
            MUST(pthread_create(&thread, NULL, try_setting, (void*)(uintptr_t)setting) == 0, "pthread_create");
            pthread_join(thread, NULL);
        } else {
            try_setting((void*)(uintptr_t)setting);
        }
        _exit(0);
    }
    int status = 0;
    MUST(waitpid(child, &status, 0) == child, "waitpid");
    if (status != 0) {
        printf("%s=DIED, status 0x%x\n", setting->name, (unsigned)status);
    }
}

// Also what exec hands down, when CPUID has been executed on the way (ld.so asks before main):
//   segv_state report   prints whether SIGSEGV is blocked and ignored
//   segv_state SETTING  only this one
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
    for (int i = 0; i < 2 * kSettingCount; ++i) {
        const struct setting* setting = &kSettings[i % kSettingCount];
        if (argc == 1 || strcmp(argv[1], setting->name) == 0) {
            in_child(setting, i >= kSettingCount);
        }
    }
    return 0;
}
