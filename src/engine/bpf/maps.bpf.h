/* Part of program.bpf.c: the maps, and the scopes that a program is in, met. */
#pragma once

#define PR_SET_MM 35
#define PR_SET_MM_AUXV 12
#define PR_SET_MM_MAP 14
#define PR_GET_AUXV 0x41555856
#define AUXV_SIZE_IN_MAP 96 /* offset of auxv_size in struct prctl_mm_map; the same for 32-bit programs */
#define SIGKILL 9

/* Where an entry that matters is kept in struct vector. */
enum slot { SLOT_HWCAP = 0, SLOT_MINSIGSTKSZ = 4, SLOT_SECURE = 5, SLOTS = 8 };

const volatile __u64 security_bits[CPULEVEL_WORDS]; /* of the machine's own family; set before loading */

struct vector {
    __u64 value[SLOTS];
    __u32 index[SLOTS]; /* which pair of the vector it is */
    __u32 found;        /* bit per slot */
    __u32 word;         /* bytes: 4 or 8 */
};

struct work {
    struct vector vector;
    struct cpulevel_image image;
};

struct pending_call {
    __u64 address; /* struct prctl_mm_map, 0 for PR_SET_MM_AUXV; the buffer of PR_GET_AUXV */
    __u64 length;
    __u32 word;
    __u32 reads; /* PR_GET_AUXV */
};

struct pending_read {
    __u64 mm;
    __u64 buffer;
    __u64 position;
};

#define HASH(name, key_type, value_type, entries)          \
    struct {                                               \
        __uint(type, BPF_MAP_TYPE_HASH);                   \
        __uint(map_flags, BPF_F_NO_PREALLOC);              \
        __uint(max_entries, entries);                      \
        __type(key, key_type);                             \
        __type(value, value_type);                         \
    } name SEC(".maps")
#define ARRAY(name, kind, value_type, entries)             \
    struct {                                               \
        __uint(type, kind);                                \
        __uint(max_entries, entries);                      \
        __type(key, __u32);                                \
        __type(value, value_type);                         \
    } name SEC(".maps")

HASH(scopes, __u64, struct cpulevel_scope, 65536);    /* by cgroup id */
HASH(trees, __u64, struct cpulevel_scope, 65536);     /* by the tree's number */
HASH(members, __u32, __u64, 1 << 22);                 /* process (tgid) -> its innermost tree */
HASH(images, __u64, struct cpulevel_image, 1 << 22);  /* by mm_struct */
HASH(carried, __u64, struct cpulevel_image, 65536);   /* by task_struct, during its exec */
HASH(calls, __u64, struct pending_call, 65536);       /* by pid_tgid */
HASH(reads, __u64, struct pending_read, 65536);       /* by pid_tgid */
ARRAY(counters, BPF_MAP_TYPE_ARRAY, __u64, CPULEVEL_COUNTERS);
ARRAY(failures, BPF_MAP_TYPE_ARRAY, struct cpulevel_failure, CPULEVEL_FAILURES);
ARRAY(config, BPF_MAP_TYPE_ARRAY, struct cpulevel_config, 1);
/* Tracepoints and kprobes run with preemption off, so a CPU's own is nobody else's meanwhile. */
ARRAY(scratch, BPF_MAP_TYPE_PERCPU_ARRAY, struct work, 1);

static __always_inline __u64 count(__u32 which) {
    __u64 *counter = bpf_map_lookup_elem(&counters, &which);
    return counter ? __sync_fetch_and_add(counter, 1) : 0;
}

static __always_inline struct work *work_space(void) {
    __u32 zero = 0;
    return bpf_map_lookup_elem(&scratch, &zero);
}

/* ---- scopes: all that apply, met ---- */

struct meet {
    __u64 mask[CPULEVEL_WORDS];
    __u64 minimum_signal_stack;
    __u64 tree;
    __u32 present, flags;
    __u32 scopes;   /* that were met */
    __u32 complete; /* the outermost was reached */
    __u32 counts;   /* which counter of the scopes goes up: COUNT_* */
};
enum { COUNT_NONE, COUNT_EXEC, COUNT_FAILURE };

static __always_inline void meet_scope(struct meet *meet, struct cpulevel_scope *scope) {
    meet->scopes++;
    meet->flags |= scope->flags;
    meet->present |= scope->present;
    for (int i = 0; i < CPULEVEL_WORDS; i++) {
        if (scope->present & (1U << i)) meet->mask[i] &= scope->mask[i];
    }
    if (scope->minimum_signal_stack > meet->minimum_signal_stack) meet->minimum_signal_stack = scope->minimum_signal_stack;
    if (meet->counts == COUNT_EXEC) __sync_fetch_and_add(&scope->execs, 1);
    if (meet->counts == COUNT_FAILURE) __sync_fetch_and_add(&scope->failures, 1);
}

static long meet_cgroup(__u32 depth, struct meet *meet) {
    __u64 id = bpf_get_current_ancestor_cgroup_id((int)depth);
    if (id == 0) {
        meet->complete = 1;
        return 1;
    }
    struct cpulevel_scope *scope = bpf_map_lookup_elem(&scopes, &id);
    if (scope) meet_scope(meet, scope);
    return 0;
}

static long meet_tree(__u32 depth __attribute__((unused)), struct meet *meet) {
    __u64 number = meet->tree;
    struct cpulevel_scope *scope = number ? bpf_map_lookup_elem(&trees, &number) : 0;
    if (!scope) {
        meet->complete = 1;
        return 1;
    }
    meet_scope(meet, scope);
    meet->tree = scope->parent;
    return 0;
}

/* False if not all of the scopes could be looked at. */
static __noinline int meet_scopes(struct meet *meet, __u32 tgid) {
    if (!meet) return 0;
    for (int i = 0; i < CPULEVEL_WORDS; i++) meet->mask[i] = ~0ULL;
    meet->minimum_signal_stack = 0;
    meet->present = meet->flags = meet->scopes = meet->complete = 0;
    bpf_loop(CPULEVEL_CGROUP_DEPTH, meet_cgroup, meet, 0);
    int all = meet->complete;
    __u64 *tree = bpf_map_lookup_elem(&members, &tgid);
    if (tree) {
        meet->complete = 0;
        meet->tree = *tree;
        bpf_loop(CPULEVEL_TREE_DEPTH + 1, meet_tree, meet, 0);
        all &= meet->complete;
    }
    return all;
}
