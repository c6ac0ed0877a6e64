// What a parent sees of its children, which must be the same when all of them are traced by a supervisor: wait
// statuses with stops and continues, SIGCHLD, zombies, orphans and subreapers, the parent-death signal.
//   children CASE
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

static pid_t start(void (*what)(void)) {
    fflush(stdout);
    const pid_t child = fork();
    MUST(child >= 0, "fork");
    if (child == 0) {
        what();
        _exit(0);
    }
    return child;
}

static void wait_for_signals(void) {
    for (;;) {
        cpuid(0, 0);
        pause();
    }
}

static void end_with_5(void) {
    cpuid(0, 0);
    _exit(5);
}

static const char* describe(int status) {
    static char text[64];
    if (WIFEXITED(status)) {
        snprintf(text, sizeof text, "exited %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "killed by %d", WTERMSIG(status));
    } else if (WIFSTOPPED(status)) {
        snprintf(text, sizeof text, "stopped by %d", WSTOPSIG(status));
    } else {
        snprintf(text, sizeof text, "%s", WIFCONTINUED(status) ? "continued" : "strange");
    }
    return text;
}

static void wait_and_print(pid_t child, const char* what) {
    int status = 0;
    pid_t waited;
    do {
        waited = waitpid(child, &status, WUNTRACED | WCONTINUED);
    } while (waited < 0 && errno == EINTR);
    MUST(waited == child, "waitpid: %d", (int)waited);
    printf("%s=%s\n", what, describe(status));
}

// waitpid reports each stop and continue, once.
static void stops(void) {
    const pid_t child = start(wait_for_signals);
    // SIGTSTP and SIGTTIN do not stop an orphaned process group, which ours may be; the child's own is not.
    MUST(setpgid(child, child) == 0, "setpgid");
    const int stop_signals[] = {SIGSTOP, SIGTSTP, SIGTTIN};
    for (int round = 0; round < 6; ++round) {
        kill(child, stop_signals[round % 3]);
        wait_and_print(child, "stop");
        MUST(waitpid(child, NULL, WNOHANG | WUNTRACED | WCONTINUED) == 0, "a stop was reported twice");
        kill(child, SIGCONT);
        wait_and_print(child, "continue");
        MUST(waitpid(child, NULL, WNOHANG | WUNTRACED | WCONTINUED) == 0, "a continue was reported twice");
    }
    kill(child, SIGSTOP);
    wait_and_print(child, "stop");
    kill(child, SIGKILL);  // kills a stopped process at once
    wait_and_print(child, "end");
}

// A stopped process does not run: its counter stands still while it is stopped, and goes on afterwards.
static volatile uint64_t* counter;

static void count(void) {
    for (;;) {
        cpuid(0, 0);
        *counter = *counter + 1;
    }
}

static void stands_still(void) {
    counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(counter != MAP_FAILED, "mmap");
    const pid_t child = start(count);
    for (int round = 0; round < 5; ++round) {
        const uint64_t before = *counter;
        while (*counter < before + 10) {
            sched_yield();
        }
        kill(child, SIGSTOP);
        wait_and_print(child, "stop");
        const uint64_t stopped_at = *counter;
        poll(NULL, 0, 20);  // time for it to go wrong in; nothing is waited for
        MUST(*counter == stopped_at, "a stopped process ran on");
        kill(child, SIGCONT);
        wait_and_print(child, "continue");
    }
    kill(child, SIGKILL);
    wait_and_print(child, "end");
}

// SIGCHLD's siginfo for each thing that happens to a child.
static void sigchld(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    siginfo_t info;
    const int steps[] = {SIGSTOP, SIGCONT, SIGTERM};
    const pid_t child = start(wait_for_signals);
    for (int i = 0; i < 3; ++i) {
        kill(child, steps[i]);
        MUST(sigwaitinfo(&set, &info) == SIGCHLD, "sigwaitinfo");
        MUST(info.si_pid == child && info.si_uid == getuid(), "SIGCHLD of pid %d", (int)info.si_pid);
        printf("sigchld=code %d status %d\n", info.si_code, info.si_status);
    }
    const struct timespec soon = {0, 20 * 1000 * 1000};
    MUST(sigtimedwait(&set, &info, &soon) == -1, "a SIGCHLD too many, code %d", info.si_code);
    wait_and_print(child, "end");
    const pid_t other = start(end_with_5);
    MUST(sigwaitinfo(&set, &info) == SIGCHLD && info.si_pid == other, "sigwaitinfo");
    printf("sigchld=code %d status %d\n", info.si_code, info.si_status);
    wait_and_print(other, "end");
}

static char state_of(pid_t pid) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return '-';
    }
    const ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    const char* end = size > 0 ? strrchr(text, ')') : NULL;
    return end == NULL ? '?' : end[2];
}

// A child that nobody has waited for stays a zombie, seen by WNOWAIT, and is gone after wait.
static void zombie(void) {
    const pid_t child = start(end_with_5);
    siginfo_t info = {0};
    MUST(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0, "waitid");
    printf("waitid=code %d status %d\n", info.si_code, info.si_status);
    printf("state=%c\n", state_of(child));
    MUST(kill(child, 0) == 0, "the zombie has no pid any more");
    wait_and_print(child, "end");
    printf("state_after=%c\n", state_of(child));
    errno = 0;
    MUST(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "there are other children");
    printf("others=none\n");
    signal(SIGCHLD, SIG_IGN);  // no zombies from now on; wait waits for all and finds none
    start(end_with_5);
    start(end_with_5);
    errno = 0;
    MUST(wait(NULL) == -1 && errno == ECHILD, "wait with SIGCHLD ignored");
    printf("ignored_sigchld=no zombies\n");
}

static int pipe_ends[2];

static void middle_of_orphan(void) {
    const pid_t me = getpid();
    if (fork() == 0) {
        while (getppid() == me) {
            sched_yield();
        }
        const pid_t now = getppid();
        _exit(write(pipe_ends[1], &now, sizeof now) == sizeof now ? 9 : 1);
    }
    _exit(0);
}

// An orphan goes to the nearest subreaper, which can wait for it.
static void subreaper(void) {
    MUST(pipe2(pipe_ends, O_CLOEXEC) == 0, "pipe");
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "PR_SET_CHILD_SUBREAPER");
    const pid_t middle = start(middle_of_orphan);
    wait_and_print(middle, "middle");
    pid_t parent = -1;
    MUST(read(pipe_ends[0], &parent, sizeof parent) == sizeof parent, "the orphan said nothing");
    MUST(parent == getpid(), "the orphan went to %d", (int)parent);
    int status = 0;
    MUST(wait(&status) > 0, "wait for the orphan");
    printf("orphan=%s\n", describe(status));
}

static void take_parent_death_signal(void) {
    prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
    cpuid(0, 0);
    const char go = 'x';
    MUST(write(pipe_ends[1], &go, 1) == 1, "write");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    siginfo_t info;
    MUST(sigwaitinfo(&set, &info) == SIGUSR1, "sigwaitinfo");
    int value = 0;
    prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0);
    _exit(value == SIGUSR1 ? 11 : 12);
}

static void start_and_leave(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    start(take_parent_death_signal);
    char go;
    MUST(read(pipe_ends[0], &go, 1) == 1, "read");
    _exit(0);
}

static void parent_death_signal(void) {
    MUST(pipe2(pipe_ends, O_CLOEXEC) == 0, "pipe");
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "PR_SET_CHILD_SUBREAPER");
    wait_and_print(start(start_and_leave), "middle");
    int status = 0;
    MUST(wait(&status) > 0, "wait");
    printf("child=%s\n", describe(status));
}

// exec clears the signal a parent's death sends only for privileged programs; the child keeps it over exec.
static void parent_death_signal_over_exec(void) {
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    execl("/proc/self/exe", "children", "print_parent_death_signal", (char*)NULL);
    MUST(0, "execl");
}

static void print_parent_death_signal(void) {
    int value = 0;
    MUST(prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0) == 0, "PR_GET_PDEATHSIG");
    printf("parent_death_signal=%d\n", value);
}

// Process group and session are the program's own affair.
static void groups(void) {
    const pid_t child = start(wait_for_signals);
    MUST(setpgid(child, child) == 0, "setpgid");
    MUST(getpgid(child) == child, "getpgid");
    kill(-child, SIGTERM);
    wait_and_print(child, "end");
}

static const struct {
    const char* name;
    void (*run)(void);
} kCases[] = {
    {"stops", stops},
    {"stands_still", stands_still},
    {"sigchld", sigchld},
    {"zombie", zombie},
    {"subreaper", subreaper},
    {"parent_death_signal", parent_death_signal},
    {"parent_death_signal_over_exec", parent_death_signal_over_exec},
    {"print_parent_death_signal", print_parent_death_signal},
    {"groups", groups},
};

int main(int argc, char** argv) {
    for (unsigned i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
        if (argc == 2 && strcmp(argv[1], kCases[i].name) == 0) {
            kCases[i].run();
            return 0;
        }
    }
    MUST(0, "no such case");
}
