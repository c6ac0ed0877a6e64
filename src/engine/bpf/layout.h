/* What the BPF programs in the kernel and the commands share: the keys and values of the pinned maps. C, as it is included by
 * both sides; fixed-width fields only, no padding, so that both compilers lay it out alike. A change of any of it needs a
 * new CPULEVEL_LAYOUT: pinned maps outlive the executable that made them. */
#pragma once

#if !defined(__bpf__)
#include <linux/types.h>
#endif

#define CPULEVEL_LAYOUT 1
#define CPULEVEL_WORDS 4      /* AT_HWCAP, AT_HWCAP2, AT_HWCAP3, AT_HWCAP4 */
#define CPULEVEL_FAMILIES 2   /* ABI families of a machine: 0 its own (x86, aarch64), 1 the other one (arm32) */
#define CPULEVEL_EDITS 5      /* the words and AT_MINSIGSTKSZ */
#define CPULEVEL_FAILURES 16  /* failures that are remembered one by one; the counters have all of them */
#define CPULEVEL_TREE_DEPTH 16      /* trees inside of trees */
#define CPULEVEL_CGROUP_DEPTH 256   /* levels of cgroups that are looked at; a deeper program counts as failed */

enum cpulevel_scope_flags {
    CPULEVEL_STRICT = 1,  /* a program that cannot be levelled is killed before its first instruction */
};

/* What is attached: to a cgroup (map scopes, by cgroup id) or to a process tree (map trees, by a number). */
struct cpulevel_scope {
    __u64 mask[CPULEVEL_WORDS];
    __u64 minimum_signal_stack; /* bytes, 0 for none: AT_MINSIGSTKSZ is at least this */
    __u32 present;              /* bit N: mask[N] is imposed */
    __u32 flags;
    __u64 parent;      /* trees: the number of the tree around it; 0 for none */
    __u64 attached_at; /* seconds since 1970 */
    __u64 execs;       /* counted by the kernel side: programs started inside */
    __u64 failures;    /* of these, programs that could not be levelled */
    __u64 root_pid;    /* trees: the process that was named */
    char level[96];    /* for people */
    char target[256];
};

/* HWCAP words that programs of one ABI family inherit. */
struct cpulevel_words {
    __u64 value[CPULEVEL_WORDS];
    __u32 present; /* bit N: value[N] counts */
    __u32 marked;
};

/* An entry of the new vector that differs from what the kernel keeps for /proc/PID/auxv. */
struct cpulevel_edit {
    __u64 value;
    __u32 offset; /* bytes from the start of the vector to the value */
    __u32 size;   /* 4 or 8 */
};

/* One memory image (map images, by the address of its mm_struct). */
struct cpulevel_image {
    struct cpulevel_words family[CPULEVEL_FAMILIES];
    struct cpulevel_edit edits[CPULEVEL_EDITS];
    __u32 edit_count;
    __u32 outranked; /* bit F: a program with AT_SECURE ran since family F was marked (rule 10) */
};

enum cpulevel_reason {
    CPULEVEL_NOT_ELF = 1,      /* the program's format has no vector that is known */
    CPULEVEL_STACK_UNREADABLE, /* the vector on the stack could not be read */
    CPULEVEL_NOT_THE_VECTOR,   /* what stands there is not the vector */
    CPULEVEL_WRITE_REFUSED,    /* bpf_probe_write_user failed */
    CPULEVEL_NO_MEMORY,        /* no room to remember what programs started from this one inherit */
    CPULEVEL_TOO_DEEP,         /* cgroups or trees nested deeper than is looked at */
};

struct cpulevel_failure {
    __u64 at; /* nanoseconds since boot */
    __u64 number;
    __u32 pid;
    __u32 reason;
    __s64 error; /* what the helper returned */
    char comm[16];
};

enum cpulevel_counter {
    CPULEVEL_COUNT_EXECS,         /* programs started in a scope, or from a marked image */
    CPULEVEL_COUNT_CHANGED,       /* of these, programs of which some entry was changed */
    CPULEVEL_COUNT_FAILURES,      /* programs that could not be levelled, or not wholly */
    CPULEVEL_COUNT_KILLED,        /* of these, killed before their first instruction */
    CPULEVEL_COUNT_MARKS,         /* prctl calls that marked an image */
    CPULEVEL_COUNT_LOST,          /* prctl calls whose end was not seen, forks whose copy found no room */
    CPULEVEL_COUNT_READS,         /* reads of /proc/PID/auxv and PR_GET_AUXV whose answer was changed */
    CPULEVEL_COUNT_READ_FAILURES, /* of these, answers that could not be changed */
    CPULEVEL_COUNTERS
};

struct cpulevel_config {
    __u32 layout;        /* CPULEVEL_LAYOUT */
    __u32 break_writes;  /* set by our tests only: every write to a stack fails */
};
