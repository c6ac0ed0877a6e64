// Brings itself into the states that `cpulevel audit` looks for, says "ready=PID", and stays there until it is ended.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "common.h"

static volatile sig_atomic_t leave;

static void ready(void) {
    printf("ready=%d\n", (int)getpid());
    fflush(stdout);
}

// Registers that are as at a program's start: the C library's string functions leave some in use.
static void clear_registers(void) {
    if (__builtin_cpu_supports("avx512f")) {
        __asm__ volatile(
            "kxorw %%k0,%%k0,%%k0\n kxorw %%k1,%%k1,%%k1\n kxorw %%k2,%%k2,%%k2\n kxorw %%k3,%%k3,%%k3\n"
            "kxorw %%k4,%%k4,%%k4\n kxorw %%k5,%%k5,%%k5\n kxorw %%k6,%%k6,%%k6\n kxorw %%k7,%%k7,%%k7\n"
            ".irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n vpxorq %%zmm\\n,%%zmm\\n,%%zmm\\n\n .endr\n" ::: "memory");
    }
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroall" ::: "memory");
}

static void fill_ymm(void) { __asm__ volatile("vpcmpeqd %%xmm0,%%xmm0,%%xmm0\n vinsertf128 $1,%%xmm0,%%ymm0,%%ymm5" ::: "memory"); }
static void fill_zmm(void) { __asm__ volatile("vpternlogd $255,%%zmm17,%%zmm17,%%zmm17" ::: "memory"); }

static void stay(void) {
    for (;;) syscall(SYS_pause);
}

static void in_handler(int signal) {
    (void)signal;
    ready();
    while (!leave) syscall(SYS_pause);
}

static void in_inner_handler(int signal) {
    (void)signal;
    raise(SIGUSR2);
}

static void set_leave(int signal) {
    (void)signal;
    leave = 1;
}

static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    MUST(sigaction(signal, &action, NULL) == 0, "sigaction");
}

static void *thread_in_handler(void *argument) {
    (void)argument;
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    MUST(sigaltstack(&stack, NULL) == 0, "sigaltstack");
    fill_ymm();
    raise(SIGUSR1);
    return NULL;
}

// Sums up in vector registers, and notices if one of them is changed from outside.
static void *thread_that_computes(void *argument) {
    volatile int *stop = argument;
    while (!*stop) {
        double in[4] = {1, 2, 3, 4}, out[4];
        for (int i = 0; i < 100000; ++i) {
            __asm__ volatile("vmovupd %1,%%ymm9\n vaddpd %%ymm9,%%ymm9,%%ymm10\n vmovupd %%ymm10,%0" : "=m"(out) : "m"(in) : "memory");
            MUST(out[0] == 2 && out[3] == 8, "registers changed");
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *state = argc > 1 ? argv[1] : "clean";
    pthread_t thread;
    if (strcmp(state, "handler") == 0 || strcmp(state, "leaves_handler") == 0) {
        handle(SIGUSR1, in_handler, 0);
        handle(SIGUSR2, set_leave, 0);
        clear_registers();
        fill_ymm();
        raise(SIGUSR1);
        puts("left");
        fflush(stdout);
    } else if (strcmp(state, "nested") == 0) {
        handle(SIGUSR1, in_inner_handler, 0);
        handle(SIGUSR2, in_handler, SA_SIGINFO);
        fill_ymm();
        raise(SIGUSR1);
    } else if (strcmp(state, "thread") == 0) {
        handle(SIGUSR1, in_handler, SA_ONSTACK);
        MUST(pthread_create(&thread, NULL, thread_in_handler, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    } else if (strcmp(state, "library") == 0) {
        MUST(dlopen("libaudited.so", RTLD_NOW) != NULL, "dlopen: %s", dlerror());
    } else if (strcmp(state, "waits") == 0) {  // in a call that ends with EINTR at every stop
        struct epoll_event event;
        const int epoll = epoll_create1(0);
        ready();
        for (;;) printf("epoll_wait=%d errno=%d\n", epoll_wait(epoll, &event, 1, -1), errno), fflush(stdout);
    } else if (strcmp(state, "computes") == 0) {
        static volatile int stop;
        for (int i = 0; i < 3; ++i) MUST(pthread_create(&thread, NULL, thread_that_computes, (void *)&stop) == 0, "pthread_create");
    }
    const int ymm = strcmp(state, "ymm") == 0, zmm = strcmp(state, "zmm") == 0;
    ready();
    clear_registers();
    if (ymm) fill_ymm();
    if (zmm) fill_zmm();
    stay();
}
