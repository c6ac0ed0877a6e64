// Processes in many states that check, for as long as they run, that nothing happens to them: for trees that are let go of and
// taken up again while they run. Each argument is a role, which gets a process of its own; on SIGTERM all are asked for what they
// found, and `ROLE=STATUS` is printed for each (0: all was right). `done=1` is the last line.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

static volatile sig_atomic_t ends;
static uint64_t digest;

static void on_term(int number) {
    (void)number;
    ends = 1;
}

static void pause_a_little(void) {
    const struct timespec little = {0, 2000000};
    nanosleep(&little, NULL);
}

static void* ask(void* unused) {
    (void)unused;
    while (!ends) {
        MUST(cpuid_digest() == digest, "CPUID changed");
        pause_a_little();
    }
    return NULL;
}

static void threads(void) {
    pthread_t all[6];
    for (int i = 0; i < 6; ++i) {
        MUST(pthread_create(&all[i], NULL, ask, NULL) == 0, "no thread");
    }
    for (int i = 0; i < 6; ++i) {
        pthread_join(all[i], NULL);
    }
}

static void forks(void) {
    while (!ends) {
        const pid_t child = fork();
        if (child == 0) {
            _exit(cpuid_digest() == digest ? 7 : 8);
        }
        int status = 0;
        pid_t got;
        do {
            got = waitpid(child, &status, 0);
        } while (got < 0 && errno == EINTR);
        MUST(got == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "a child was lost: %x", status);
    }
}

// New threads all the time: some are just born when the tree is stopped.
static void* end_at_once(void* unused) { return unused; }
static void births(void) {
    while (!ends) {
        pthread_t one;
        MUST(pthread_create(&one, NULL, end_at_once, NULL) == 0, "no thread");
        MUST(pthread_join(one, NULL) == 0, "a thread was lost");
    }
}

static int is_interrupted(void) { return ends; }

static void sleeps(void) {
    while (!ends) {
        const struct timespec time = {0, 300000000};
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        const int result = nanosleep(&time, NULL);
        clock_gettime(CLOCK_MONOTONIC, &after);
        if (is_interrupted()) {
            break;
        }
        MUST(result == 0, "nanosleep was interrupted");
        const long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
        MUST(slept >= 300000000, "nanosleep ended early: %lld ns", slept);
    }
}

static void waits_on_a_futex(void) {
    static int word;
    while (!ends) {
        const long result = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
        MUST(result != 0, "the futex was woken by nobody");
        MUST(ends, "the wait for a futex was interrupted");
    }
}

static void reads_a_pipe(void) {
    int ends_of_it[2];
    MUST(pipe(ends_of_it) == 0, "no pipe");
    char byte;
    const ssize_t got = read(ends_of_it[0], &byte, 1);
    MUST(got < 0 && errno == EINTR && ends, "read gave %zd", got);
}

// epoll_wait ends with EINTR after a stop, as signal(7) says; nothing else may come out of it.
static void waits_for_events(void) {
    const int epoll = epoll_create1(0);
    struct epoll_event event;
    while (!ends) {
        const int got = epoll_wait(epoll, &event, 1, -1);
        MUST(got < 0 && errno == EINTR, "epoll_wait gave %d", got);
    }
}

static void segv_is_blocked(void) {
    sigset_t blocked, now;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGSEGV);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    while (!ends) {
        MUST(cpuid_digest() == digest, "CPUID changed");
        sigprocmask(SIG_BLOCK, NULL, &now);
        MUST(sigismember(&now, SIGSEGV), "SIGSEGV is not blocked any more");
        pause_a_little();
    }
}

static void spawns(void) {
    while (!ends) {
        const pid_t child = vfork();
        if (child == 0) {
            // The parent cannot be stopped meanwhile.
            const struct timespec some = {0, 20000000};
            nanosleep(&some, NULL);
            execl("/bin/true", "true", (char*)NULL);
            _exit(1);
        }
        int status = 0;
        pid_t got;
        do {
            got = waitpid(child, &status, 0);
        } while (got < 0 && errno == EINTR);
        MUST(got == child && status == 0, "a program was lost: %x", status);
    }
}

static void is_stopped(void) {
    while (!ends) {
        raise(SIGSTOP);  // for ever: the test looks that it stays so, and continues it at the end
    }
}

// Programs that are executed: those that saw the level, and those that saw another CPU.
static void execs(void) {
    char expected[32];
    snprintf(expected, sizeof expected, "%llx", (unsigned long long)digest);
    long levelled = 0, bare = 0;
    while (!ends) {
        const pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "goes_on", "--compare", expected, (char*)NULL);
            _exit(9);
        }
        int status = 0;
        pid_t got;
        do {
            got = waitpid(child, &status, 0);
        } while (got < 0 && errno == EINTR);
        MUST(got == child && WIFEXITED(status) && WEXITSTATUS(status) < 2, "a program was lost: %x", status);
        ++*(WEXITSTATUS(status) == 0 ? &levelled : &bare);
    }
    printf("levelled_execs=%ld\nbare_execs=%ld\n", levelled, bare);
    fflush(stdout);
}

static const struct {
    const char* name;
    void (*play)(void);
} roles[] = {{"threads", threads}, {"forks", forks}, {"births", births}, {"sleeps", sleeps}, {"futex", waits_on_a_futex},
             {"pipe", reads_a_pipe}, {"epoll", waits_for_events}, {"blocked", segv_is_blocked}, {"spawns", spawns},
             {"stopped", is_stopped}, {"execs", execs}};

int main(int argc, char** argv) {
    digest = cpuid_digest();
    if (argc == 3 && strcmp(argv[1], "--compare") == 0) {
        return digest == strtoull(argv[2], NULL, 16) ? 0 : 1;
    }
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    pid_t players[32];
    for (int i = 1; i < argc; ++i) {
        players[i] = fork();
        if (players[i] == 0) {
            for (unsigned role = 0; role < sizeof roles / sizeof roles[0]; ++role) {
                if (strcmp(roles[role].name, argv[i]) == 0) {
                    roles[role].play();
                    _exit(0);
                }
            }
            MUST(0, "no such role: %s", argv[i]);
        }
        printf("player=%s %d\n", argv[i], (int)players[i]);
    }
    printf("digest=%llx\nready=1\n", (unsigned long long)digest);
    fflush(stdout);
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    while (!ends) {
        sigsuspend(&before);
    }
    for (int i = 1; i < argc; ++i) {
        int status = 0;
        // Again and again: one that comes just before a wait would be lost.
        while (waitpid(players[i], &status, WNOHANG) == 0) {
            kill(players[i], SIGTERM);
            kill(players[i], SIGCONT);
            pause_a_little();
        }
        printf("%s=%x\n", argv[i], (unsigned)status);
    }
    printf("done=1\n");
    return 0;
}
