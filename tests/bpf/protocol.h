/* What the controller (events.cpp) and the actors (actor.c) say to each other over a socket, one packet each. Actors are 32- and
 * 64-bit programs: fixed-width fields, the same layout in both. */
#pragma once

#include <stdint.h>

enum { EVENT_WORDS = 4, EVENT_PATH = 256 };

enum event_what {
    EVENT_PRCTL = 1, /* replace the saved vector: the words below, the others removed; everything else stays */
    EVENT_FORK,      /* the new process takes the descriptor that is sent along */
    EVENT_SHARE,     /* the same with CLONE_VM */
    EVENT_EXEC,      /* execve of the path */
    EVENT_EXEC_THREAD, /* execve of the path in another thread than the leader */
    EVENT_UNPRIVILEGED, /* setresuid to nobody */
    EVENT_QUIT,
};

struct event_words {
    uint64_t value[EVENT_WORDS];
    uint32_t present;
    uint32_t unused;
};

struct event_command {
    uint32_t what;
    uint32_t by_auxv;                /* PRCTL: PR_SET_MM_AUXV instead of PR_SET_MM_MAP */
    uint32_t flawed;                 /* PRCTL: a call that the kernel refuses */
    uint32_t arguments, environment; /* EXEC: how many more strings there are of each */
    uint32_t unused;
    struct event_words words;
    char path[EVENT_PATH];
};

struct event_reply {
    int32_t error; /* errno of what was to be done */
    uint32_t pid;
    uint32_t word_size; /* bytes */
    uint32_t secure;    /* AT_SECURE */
    uint64_t minimum_signal_stack;
    struct event_words stack; /* what the program was started with */
    struct event_words file;  /* /proc/self/auxv now */
    uint32_t file_readable;   /* not by a program that is not dumpable: setuid, without root's rights */
    uint32_t unused;
};
