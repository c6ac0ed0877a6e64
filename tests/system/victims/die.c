// Ends as told: die exit STATUS | die signal NUMBER | die thread_exit STATUS | die segv | die blocked_segv |
// die ignored_segv | die abort
#define _GNU_SOURCE
#include <pthread.h>

#include "common.h"

static int status;

static void* exit_all(void* unused) {
    (void)unused;
    cpuid(0, 0);
    exit(status);
}

int main(int argc, char** argv) {
    MUST(argc >= 2, "usage: die exit|signal|thread_exit|segv|blocked_segv|ignored_segv|abort [NUMBER]");
    status = argc > 2 ? atoi(argv[2]) : 0;
    cpuid(0, 0);
    volatile int* nowhere = (volatile int*)8;
    if (strcmp(argv[1], "exit") == 0) {
        return status;
    } else if (strcmp(argv[1], "signal") == 0) {
        signal(status, SIG_DFL);  // may have been inherited as ignored
        raise(status);
    } else if (strcmp(argv[1], "thread_exit") == 0) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, exit_all, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    } else if (strcmp(argv[1], "segv") == 0) {
        *nowhere = 1;
    } else if (strcmp(argv[1], "blocked_segv") == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        *nowhere = 1;
    } else if (strcmp(argv[1], "ignored_segv") == 0) {
        signal(SIGSEGV, SIG_IGN);
        *nowhere = 1;
    } else if (strcmp(argv[1], "abort") == 0) {
        abort();
    }
    return kWrong;
}
