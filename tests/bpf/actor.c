// A process of the random tree: does what it is told and reports what it sees. Linked with tests/proof/vector.c.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../proof/proof.h"
#include "protocol.h"

enum { kStackBytes = 256 * 1024, kMostStrings = 64, kAtMinimumSignalStack = 51, kAtSecure = 23 };

static struct event_words event_words_of(const struct vector* vector) {
    const struct words words = words_of(vector);
    struct event_words result = {.present = words.present};
    for (int i = 0; i < EVENT_WORDS; ++i) result.value[i] = words.value[i];
    return result;
}

static unsigned long find(const struct vector* vector, unsigned long type) {
    for (unsigned i = 0; i < vector->count; ++i) {
        if (vector->entries[i].type == type) return vector->entries[i].value;
    }
    return 0;
}

static void reply(int socket, int error) {
    const struct vector stack = stack_vector(), file = file_vector();
    const struct event_reply answer = {
        .error = error,
        .pid = (uint32_t)syscall(SYS_getpid),
        .word_size = sizeof(long),
        .secure = (uint32_t)find(&stack, kAtSecure),
        .minimum_signal_stack = find(&stack, kAtMinimumSignalStack),
        .stack = event_words_of(&stack),
        .file = event_words_of(&file),
        .file_readable = file.count != 0,
    };
    if (send(socket, &answer, sizeof answer, 0) != (ssize_t)sizeof answer) _exit(3);
}

static int set_vector(const struct event_command* command) {
    struct vector old = file_vector();
    if (old.count == 0) old = stack_vector();  // who is not dumpable may not read the file
    struct vector changed = {.count = 0};
    uint32_t done = 0;
    for (unsigned i = 0; i < old.count; ++i) {
        struct entry entry = old.entries[i];
        int word = -1;
        for (int each = 0; each < kWords; ++each) {
            if (kWordTypes[each] == entry.type) word = each;
        }
        if (entry.type == 0) {  // words that were not there before come last
            for (int each = 0; each < kWords; ++each) {
                if (!(command->words.present & ~done & (1U << each))) continue;
                changed.entries[changed.count++] = (struct entry){kWordTypes[each], (unsigned long)command->words.value[each]};
            }
        }
        if (word >= 0) {
            if (!(command->words.present & (1U << word)) || (done & (1U << word))) continue;
            done |= 1U << word;
            entry.value = (unsigned long)command->words.value[word];
        }
        changed.entries[changed.count++] = entry;
    }
    if (command->flawed) return replace_by_map(&changed, FLAW_BORDERS);
    return replace_vector(&changed, command->by_auxv ? BY_AUXV : BY_MAP);
}

static void execute(const struct event_command* command, int socket) {
    char number[16];
    snprintf(number, sizeof number, "%d", socket);
    char* arguments[kMostStrings + 4] = {(char*)command->path, number};
    char* environment[kMostStrings + 1] = {NULL};
    for (unsigned i = 0; i < command->arguments && i < kMostStrings; ++i) arguments[2 + i] = (char*)"argument";
    for (unsigned i = 0; i < command->environment && i < kMostStrings; ++i) environment[i] = (char*)"NAME=value";
    execve(command->path, arguments, environment);
}

static _Noreturn void serve(int socket);

struct start {
    struct event_command command;
    int socket;
};

static int start_serving(void* start) {
    serve(((struct start*)start)->socket);
}

static int start_executing(void* start) {
    const struct start* what = start;
    execute(&what->command, what->socket);
    reply(what->socket, errno);
    return 0;
}

// A task that shares our memory; `start` must stay as long as it runs.
static int clone_with_memory(int (*function)(void*), void* start, int flags) {
    char* stack = mmap(NULL, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return -1;
    return clone(function, stack + kStackBytes, flags | CLONE_VM, start);
}

static _Noreturn void serve(int socket) {
    for (;;) {
        // Not by malloc: sharers of memory that are no threads would break its lists.
        struct start* start = mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) _exit(4);
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec part = {&start->command, sizeof start->command};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        if (recvmsg(socket, &message, 0) != (ssize_t)sizeof start->command) _exit(0);
        const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
        start->socket = header != NULL ? *(const int*)(const void*)CMSG_DATA(header) : socket;
        const struct event_command* command = &start->command;
        switch (command->what) {
            case EVENT_PRCTL: reply(socket, set_vector(command)); break;
            case EVENT_UNPRIVILEGED: reply(socket, setresuid(65534, 65534, 65534) == 0 ? 0 : errno); break;
            case EVENT_FORK: {
                const pid_t child = fork();
                if (child == 0) {
                    close(socket);
                    socket = start->socket;
                    break;
                }
                close(start->socket);
                reply(socket, child < 0 ? errno : 0);
                break;
            }
            case EVENT_SHARE:  // the child has descriptors of its own
                reply(socket, clone_with_memory(start_serving, start, SIGCHLD) < 0 ? errno : 0);
                close(start->socket);
                break;
            case EVENT_EXEC:
                execute(command, socket);
                reply(socket, errno);
                break;
            case EVENT_EXEC_THREAD:
                if (clone_with_memory(start_executing, start, CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM) < 0) reply(socket, errno);
                for (;;) pause();
            default: _exit(0);
        }
        if (command->what != EVENT_SHARE) munmap(start, sizeof *start);
    }
}

int main(int argc, char** argv, char** envp) {
    remember_stack(envp);
    if (argc < 2) return 2;
    signal(SIGCHLD, SIG_IGN);
    const int socket = atoi(argv[1]);
    reply(socket, 0);
    serve(socket);
}
