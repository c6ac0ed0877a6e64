// Says which signals arrive, in order, one line each; "ready" first. Ends with status 7 at SIGRTMIN (34), which is
// not itself printed. `catch_signals stop` leaves SIGTSTP, SIGTTIN and SIGTTOU at their default.
#define _GNU_SOURCE
#include <signal.h>

#include "common.h"

int main(int argc, char** argv) {
    const int leave_stops = argc > 1 && strcmp(argv[1], "stop") == 0;
    sigset_t all;
    sigfillset(&all);
    if (leave_stops) {
        sigdelset(&all, SIGTSTP);
        sigdelset(&all, SIGTTIN);
        sigdelset(&all, SIGTTOU);
    }
    sigprocmask(SIG_SETMASK, &all, NULL);
    cpuid(0, 0);
    printf("ready=%d\n", (int)getpid());
    fflush(stdout);
    for (;;) {
        siginfo_t info;
        const int signal = sigwaitinfo(&all, &info);
        if (signal < 0) {
            continue;  // EINTR by stop and continue
        }
        if (signal == SIGRTMIN) {
            return 7;
        }
        cpuid(0, 0);
        printf("caught=%d\n", signal);
        fflush(stdout);
    }
}
