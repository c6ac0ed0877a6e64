// Much at once, with CPUID all the time; every answer must be the same as the first, of which a digest is printed.
//   storm threads COUNT | signals MILLISECONDS | forks COUNT | execs COUNT | processes COUNT | sudden_ends COUNT |
//         mixed MILLISECONDS
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

static uint64_t digest;
static atomic_int wrong_answers;
static atomic_long asked;

static void ask(void) {
    if (cpuid_digest() != digest) {
        ++wrong_answers;
    }
    ++asked;
}

static void must_all_be_right(void) { MUST(wrong_answers == 0, "%d answers of CPUID differ", wrong_answers); }

static void* ask_once(void* unused) {
    (void)unused;
    ask();
    return NULL;
}

// Threads that start, ask and end, sixteen at a time.
static void threads(long count) {
    enum { kAtOnce = 16 };
    long started = 0;
    while (started < count) {
        pthread_t ids[kAtOnce];
        int n = 0;
        for (; n < kAtOnce && started < count; ++n, ++started) {
            MUST((errno = pthread_create(&ids[n], NULL, ask_once, NULL)) == 0, "pthread_create %ld", started);
        }
        while (n > 0) {
            MUST(pthread_join(ids[--n], NULL) == 0, "pthread_join");
        }
    }
    printf("threads=%ld\nasked=%ld\n", started, asked);
}

static atomic_long ticks;

static void on_tick(int signal) {
    (void)signal;
    ++ticks;
    ask();
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static atomic_bool stop;

static void* ask_on(void* unused) {
    (void)unused;
    while (!stop) {
        ask();
    }
    return NULL;
}

static void* send_to_leader(void* leader) {
    long sent = 0;
    const union sigval value = {.sival_int = 0};
    while (!stop) {
        if (sent - ticks > 16) {  // handlers only, without end, would be all that the leader ever runs
            sched_yield();
        } else if (pthread_sigqueue(*(pthread_t*)leader, SIGRTMIN + 1, value) == 0) {
            ++sent;
        }
    }
    return (void*)sent;
}

// Queued signals from another thread and a fast timer, while three threads ask: none may be lost.
static void signals(long milliseconds) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_tick;
    action.sa_flags = SA_RESTART;
    sigaction(SIGRTMIN + 1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    sigset_t for_leader, old;
    sigemptyset(&for_leader);
    sigaddset(&for_leader, SIGALRM);
    sigaddset(&for_leader, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &for_leader, &old);
    pthread_t leader = pthread_self(), sender, asker;
    MUST(pthread_create(&sender, NULL, send_to_leader, &leader) == 0, "pthread_create");
    MUST(pthread_create(&asker, NULL, ask_on, NULL) == 0, "pthread_create");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    const double end = now() + (double)milliseconds / 1e3;
    while (now() < end) {
        ask();
    }
    stop = true;
    void* sent = NULL;
    MUST(pthread_join(sender, &sent) == 0 && pthread_join(asker, NULL) == 0, "pthread_join");
    while (ticks < (long)sent && now() < end + 30) {
        sched_yield();  // what is still queued arrives when this thread next returns from a system call
    }
    MUST(ticks == (long)sent, "%ld signals sent, %ld handled", (long)sent, ticks);
    MUST(ticks > 0, "no signal was sent");
    printf("every_signal=handled\n");
}

static void fork_once(long number, int how) {
    const pid_t child = how == 'v' ? vfork() : fork();
    MUST(child >= 0, "fork %ld", number);
    if (child == 0) {
        _exit(cpuid_digest() == digest ? (int)(number % 90) : kWrong);
    }
    int status = 0;
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status), "child %ld: status %x", number, (unsigned)status);
    MUST(WEXITSTATUS(status) == number % 90, "child %ld: status %x", number, (unsigned)status);
}

static void forks(long count) {
    for (long i = 0; i < count; ++i) {
        fork_once(i, i % 2 == 0 ? 'v' : 'f');
    }
    printf("forks=%ld\n", count);
}

// One process that executes itself COUNT times; each compares with what the one before it saw.
static void execs(long count, char** argv) {
    char left[32], seen[32];
    snprintf(seen, sizeof seen, "%llx", (unsigned long long)digest);
    if (argv[3] != NULL) {
        MUST(strcmp(argv[3], seen) == 0, "with %ld left, CPUID is %s, was %s", count, seen, argv[3]);
    }
    if (count == 0) {
        printf("execs=done\n");
        return;
    }
    snprintf(left, sizeof left, "%ld", count - 1);
    char* arguments[] = {argv[0], (char*)"execs", left, seen, NULL};
    execv("/proc/self/exe", arguments);
    MUST(0, "execv with %ld left", count);
}

// COUNT processes alive at the same time; all ask, then all are let go at once.
static void processes(long count) {
    int ready[2], go[2];
    MUST(pipe(ready) == 0 && pipe(go) == 0, "pipe");
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        MUST(child >= 0, "fork %ld", i);
        if (child == 0) {
            close(go[1]);
            char byte = cpuid_digest() == digest;
            MUST(write(ready[1], &byte, 1) == 1, "write");
            MUST(read(go[0], &byte, 1) == 0, "read");
            _exit(cpuid_digest() == digest ? (int)(i % 90) : kWrong);
        }
    }
    for (long i = 0; i < count; ++i) {
        char byte = 0;
        MUST(read(ready[0], &byte, 1) == 1 && byte == 1, "process %ld", i);
    }
    close(go[1]);
    long sum = 0;
    for (long i = 0; i < count; ++i) {
        int status = 0;
        MUST(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) < 90, "status %x", (unsigned)status);
        sum += WEXITSTATUS(status);
    }
    printf("processes=%ld\nsum=%ld\n", count, sum);
}

static void* start_threads(void* unused) {
    (void)unused;
    while (!stop) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, ask_once, NULL) == 0) {
            pthread_join(thread, NULL);
        }
    }
    return NULL;
}

static void* start_processes(void* program) {
    while (!stop) {
        const pid_t child = fork();
        if (child == 0) {
            char seen[32];
            snprintf(seen, sizeof seen, "%llx", (unsigned long long)digest);
            char* arguments[] = {program, (char*)"same", seen, NULL};
            execv("/proc/self/exe", arguments);
            _exit(kWrong);
        }
        int status = 0;
        MUST(waitpid(child, &status, 0) == child, "waitpid");
        MUST(status == 0, "child's status %x", (unsigned)status);
    }
    return NULL;
}

static atomic_long forked;

static void* fork_on(void* unused) {
    (void)unused;
    for (;;) {
        const pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        ++forked;
        waitpid(child, NULL, 0);
    }
    return NULL;
}

// COUNT processes that end while their threads are in the middle of fork: a child can then exist whose parent is gone
// before it could be announced to a tracer. Such a child must run on and end like any other.
static void sudden_ends(long count) {
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        MUST(child >= 0, "fork %ld", i);
        if (child == 0) {
            pthread_t thread;
            for (int n = 0; n < 3; ++n) {
                MUST(pthread_create(&thread, NULL, fork_on, NULL) == 0, "pthread_create");
            }
            while (forked < 2 + i % 5) {
                sched_yield();
            }
            _exit(0);
        }
        int status = 0;
        MUST(waitpid(child, &status, 0) == child && status == 0, "status %x", (unsigned)status);
    }
    printf("sudden_ends=%ld\n", count);
}

// Threads, processes, execs and signals together; ends by exit_group with all of them busy.
static void mixed(long milliseconds, char* program) {
    signal(SIGUSR1, on_tick);
    pthread_t thread;
    for (int i = 0; i < 2; ++i) {
        MUST(pthread_create(&thread, NULL, start_threads, NULL) == 0, "pthread_create");
        MUST(pthread_create(&thread, NULL, start_processes, program) == 0, "pthread_create");
    }
    const double end = now() + (double)milliseconds / 1e3;
    while (now() < end) {
        kill(getpid(), SIGUSR1);
        ask();
    }
    must_all_be_right();
    printf("mixed=done\n");
    fflush(stdout);
    _exit(33);
}

int main(int argc, char** argv) {
    MUST(argc >= 3, "usage: storm threads|signals|forks|execs|processes|mixed NUMBER");
    digest = cpuid_digest();
    const long number = atol(argv[2]);
    if (strcmp(argv[1], "same") == 0) {
        return strtoull(argv[2], NULL, 16) == digest ? 0 : kWrong;
    }
    const int is_last = strcmp(argv[1], "execs") != 0 || number == 0;
    if (is_last) {
        printf("digest=%llx\n", (unsigned long long)digest);
        fflush(stdout);
    }
    if (strcmp(argv[1], "threads") == 0) {
        threads(number);
    } else if (strcmp(argv[1], "signals") == 0) {
        signals(number);
    } else if (strcmp(argv[1], "forks") == 0) {
        forks(number);
    } else if (strcmp(argv[1], "execs") == 0) {
        execs(number, argv);
    } else if (strcmp(argv[1], "processes") == 0) {
        processes(number);
    } else if (strcmp(argv[1], "sudden_ends") == 0) {
        sudden_ends(number);
    } else if (strcmp(argv[1], "mixed") == 0) {
        mixed(number, argv[0]);
    } else {
        MUST(0, "no such storm: %s", argv[1]);
    }
    must_all_be_right();
    return 0;
}
