// holds tcp|unix|locks|handler|terminal|zombie|orphan
// Has what CRIU carries only when it is told to, or what a target may not take, and checks without pause that it still has it. Moved and
// asked as the travellers are (traveller.h); the other ends stay behind (stays_behind.py).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "traveller.h"

static int other_end = -1;
static uint32_t count;

// One connection for the whole life: each number comes back, plus one. Who made another connection would be refused.
static void connect_tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    FILE* file = fopen("port", "r");
    unsigned port = 0;
    CHECK(file != NULL && fscanf(file, "%u", &port) == 1);
    fclose(file);
    address.sin_port = htons((uint16_t)port);
    other_end = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(other_end, (struct sockaddr*)&address, sizeof address) == 0);
}

static void ask_and_hear(uint32_t* state) {
    (void)state;
    const uint32_t said = htonl(++count);
    uint32_t heard = 0;
    CHECK(send(other_end, &said, sizeof said, MSG_NOSIGNAL) == sizeof said);
    CHECK(recv(other_end, &heard, sizeof heard, MSG_WAITALL) == sizeof heard);
    CHECK(ntohl(heard) == count + 1);
}

// Datagrams to somebody with a name, as programs have them to the system's log: numbered, so that he knows if one is missing.
static void connect_unix(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[sizeof address.sun_path - sizeof "/listens"];
    CHECK(getcwd(folder, sizeof folder) != NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/listens", folder);
    other_end = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(connect(other_end, (struct sockaddr*)&address, sizeof address) == 0);
}

static void tell(uint32_t* state) {
    (void)state;
    const uint32_t said = htonl(++count);
    CHECK(send(other_end, &said, sizeof said, MSG_NOSIGNAL) == sizeof said);
}

static void tell_the_end(void) {
    const uint32_t said = 0;
    CHECK(send(other_end, &said, sizeof said, MSG_NOSIGNAL) == sizeof said);
}

// One of each kind. Whether the second is held only another process can tell.
static void lock(void) {
    const int whole = open("locked_whole", O_CREAT | O_RDWR, 0644);
    const int part = open("locked_part", O_CREAT | O_RDWR, 0644);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    CHECK(flock(whole, LOCK_EX | LOCK_NB) == 0);
    CHECK(fcntl(part, F_SETLK, &range) == 0);
}

static void is_locked(uint32_t* state) {
    (void)state;
    const int again = open("locked_whole", O_RDWR);
    CHECK(again >= 0 && flock(again, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK);
    close(again);
}

// In a signal handler, that has interrupted code with values in AVX registers, until SIGUSR2: the frame has their upper halves, which
// a CPU without AVX would not give back.
static volatile sig_atomic_t leave;

static void set_leave(int signal) {
    (void)signal;
    leave = 1;
}

static void stay(int signal) {
    (void)signal;
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    sigdelset(&now, SIGUSR2);
    dprintf(1, "working\n");
    while (!leave) sigsuspend(&now);
}

static void go_through_handler(void) {
    struct sigaction inside = {.sa_handler = stay};
    struct sigaction out = {.sa_handler = set_leave};
    sigaddset(&inside.sa_mask, SIGUSR2);
    CHECK(sigaction(SIGUSR1, &inside, NULL) == 0 && sigaction(SIGUSR2, &out, NULL) == 0);
    __asm__ volatile("vpcmpeqd %%xmm0,%%xmm0,%%xmm0\n vinsertf128 $1,%%xmm0,%%ymm0,%%ymm5" ::: "memory");
    raise(SIGUSR1);
    __asm__ volatile("vzeroall" ::: "memory");
}

// A terminal: each line that is typed is heard, and counted. Ends by the line "end".
static int talk(void) {
    char line[100];
    printf("working %d\n", (int)getpid());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "end") == 0) return 7;
        printf("heard %s, %u\n", line, ++count);
        fflush(stdout);
    }
    printf("no more input: %s\n", strerror(errno));
    return 1;
}

// A child that has ended and was not waited for, with a status of its own.
static pid_t child;

static void leave_child(void) {
    child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(5);
}

static void is_zombie(uint32_t* state) {
    (void)state;
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 5);
}

static void reap(void) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    leave_child();
}

// A child that goes on for a while when its parent has ended, and then says so.
static void leave_orphan(void) {
    const pid_t parent = getpid();
    child = fork();
    CHECK(child >= 0);
    if (child != 0) return;
    while (getppid() == parent) usleep(10000);
    usleep(500000);
    CHECK(open("outlived", O_CREAT | O_WRONLY, 0644) >= 0);
    _exit(0);
}

static void nothing(uint32_t* state) { (void)state; }

int main(int words, char** word) {
    const char* what = words > 1 ? word[1] : "";
    if (strcmp(what, "tcp") == 0) {
        connect_tcp();
        return travel(ask_and_hear, NULL);
    }
    if (strcmp(what, "unix") == 0) {
        connect_unix();
        const int status = travel(tell, NULL);
        tell_the_end();
        return status;
    }
    if (strcmp(what, "locks") == 0) {
        lock();
        return travel(is_locked, NULL);
    }
    if (strcmp(what, "zombie") == 0) {
        leave_child();
        return travel(is_zombie, reap);
    }
    if (strcmp(what, "orphan") == 0) {
        leave_orphan();
        return travel(nothing, NULL);
    }
    if (strcmp(what, "terminal") == 0) return talk();
    if (strcmp(what, "handler") == 0) {
        go_through_handler();
        return travel(nothing, NULL);
    }
    return 2;
}
