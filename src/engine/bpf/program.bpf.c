/* The BPF engine's kernel side. No process of ours has to live: these programs and maps are pinned in bpffs.
 *
 * execve() builds a new auxiliary vector, keeps a copy in the new mm (saved_auxv) and puts it on the new stack. The
 * tracepoint sched_process_exec fires behind that and before the program's first instruction: there we find the scopes
 * that the program is in (its cgroup and the cgroups above; its process tree), compute by the rules of docs/inheritance.md
 * what it may see (the same as src/inherit, which cannot be linked into BPF and which this is tested against), and
 * write it to the stack. The saved copy is out of reach for BPF. Instead, what somebody reads of it through
 * /proc/PID/auxv or PR_GET_AUXV is corrected in the reader's buffer, as far as that is seen.
 *
 * Marks belong to a memory image, so they are kept by the address of its mm_struct:
 *   - prctl(PR_SET_MM, ...) that succeeded: the image is marked (kprobe at the call, kretprobe at its end).
 *   - fork: the child's new mm gets a copy. A shared mm (thread, vfork) has the same address: nothing to do.
 *   - exec: the old mm is left before the tracepoint fires. exec_mm_release() is called in between, behind the point of
 *     no return and when the other threads are gone: there the marks are put aside for the task.
 *   - an address may be used again for another mm. Every mm comes from fork or exec, and both either write the
 *     new mm's entry or delete it, so an old entry is never taken for a new one. __mmdrop() deletes entries of mms that
 *     end, so that the map does not fill.
 * fentry and fexit would be cheaper than kprobes; on arm64 they need kernel 6.4.
 *
 * What goes wrong is counted, never silent: see cpulevel_reason. */
/* clang-format off */
#include "kernel_types.h"
#include "layout.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
/* clang-format on */

char LICENSE[] SEC("license") = "GPL";

#include "maps.bpf.h"

/* ---- the saved vector ---- */

static __always_inline int slot_of(__u64 type) {
    switch (type) {
        case 16: return SLOT_HWCAP;
        case 26: return SLOT_HWCAP + 1;
        case 29: return SLOT_HWCAP + 2;
        case 30: return SLOT_HWCAP + 3;
        case 51: return SLOT_MINSIGSTKSZ;
        case 23: return SLOT_SECURE;
    }
    return -1;
}

struct scan {
    __u64 base;
    __u32 word;
};

static long scan_entry(__u32 index, struct scan *scan) {
    __u64 type, value;
    if (scan->word == 4) {
        __u32 pair[2];
        if (bpf_probe_read_kernel(pair, sizeof(pair), (void *)(scan->base + index * 8ULL))) return 1;
        type = pair[0];
        value = pair[1];
    } else {
        __u64 pair[2];
        if (bpf_probe_read_kernel(pair, sizeof(pair), (void *)(scan->base + index * 16ULL))) return 1;
        type = pair[0];
        value = pair[1];
    }
    if (type == 0) return 1;
    int slot = slot_of(type);
    struct work *work = work_space();
    if (slot < 0 || slot >= SLOTS || !work || (work->vector.found & (1U << slot))) return 0;
    work->vector.found |= 1U << slot;
    work->vector.value[slot] = value;
    work->vector.index[slot] = index;
    return 0;
}

/* The entries that matter of the vector that the kernel keeps, into the scratch. The first of each type counts. */
static __noinline int scan_vector(struct mm_struct *mm_of_task, __u32 word) {
    struct work *work = work_space();
    if (!work || !mm_of_task) return 0;
    work->vector.found = 0;
    work->vector.word = word;
    for (int i = 0; i < SLOTS; i++) work->vector.value[i] = 0;
    struct scan scan = {.base = (__u64)__builtin_preserve_access_index(&mm_of_task->saved_auxv), .word = word};
    __u32 pairs = bpf_core_field_size(mm_of_task->saved_auxv) / (2 * word);
    bpf_loop(pairs, scan_entry, &scan, 0);
    return 1;
}

/* ---- exec ---- */

static __noinline void fail(__u32 reason, __s64 error, __u32 strict, __u32 tgid) {
    __u64 number = count(CPULEVEL_COUNT_FAILURES);
    __u32 at = number % CPULEVEL_FAILURES;
    struct cpulevel_failure *failure = bpf_map_lookup_elem(&failures, &at);
    if (failure) {
        failure->at = bpf_ktime_get_boot_ns();
        failure->number = number + 1;
        failure->pid = tgid;
        failure->reason = reason;
        failure->error = error;
        bpf_get_current_comm(failure->comm, sizeof(failure->comm));
    }
    struct meet meet = {.counts = COUNT_FAILURE};
    meet_scopes(&meet, tgid);
    if (strict) {
        bpf_send_signal(SIGKILL);
        count(CPULEVEL_COUNT_KILLED);
    }
}

struct stack {
    __u64 vector; /* address of the first pair */
    __u32 word;
    __u32 broken; /* by a test */
    __s64 error;
};

/* One entry on the new program's stack. 0, or the reason of the failure. */
static __noinline __u32 write_entry(struct stack *stack, __u32 index, __u64 type, __u64 value) {
    if (!stack) return CPULEVEL_WRITE_REFUSED;
    __u64 at = stack->vector + 2ULL * index * stack->word;
    __u64 there = 0;
    stack->error = bpf_probe_read_user(&there, stack->word == 4 ? 4 : 8, (void *)at);
    if (stack->error) return CPULEVEL_STACK_UNREADABLE;
    if (there != type) return CPULEVEL_NOT_THE_VECTOR;
    if (stack->broken) return CPULEVEL_WRITE_REFUSED;
    stack->error = stack->word == 4 ? bpf_probe_write_user((void *)(at + 4), &value, 4)
                                    : bpf_probe_write_user((void *)(at + 8), &value, 8);
    return stack->error ? CPULEVEL_WRITE_REFUSED : 0;
}

static __always_inline __u64 type_of(int slot) {
    switch (slot) {
        case 0: return 16;
        case 1: return 26;
        case 2: return 29;
        case 3: return 30;
    }
    return 51;
}

/* What one slot shall show; also advances the inherited words of the new image (src/inherit/marks.cpp, after_exec). */
static __always_inline __u64 shown(int slot, struct work *work, const struct meet *meet, int family) {
    __u64 own = work->vector.value[slot];
    __u64 bits = work->vector.word == 4 ? 0xffffffffULL : ~0ULL;
    if (slot == SLOT_MINSIGSTKSZ) {
        __u64 least = meet->minimum_signal_stack & bits;
        return own > least ? own : least;
    }
    __u64 result = own;
    struct cpulevel_words *saved = &work->image.family[family];
    if (saved->marked && (saved->present & (1U << slot))) {
        __u64 exempt = 0;
        if (family == 0 && (work->image.outranked & 1)) exempt = security_bits[slot];
        result &= saved->value[slot] | exempt;
        saved->value[slot] &= own | ~bits;
    }
    if (family == 0 && (meet->present & (1U << slot))) result &= meet->mask[slot];
    return result;
}

static __always_inline int family_of(__u32 word __attribute__((unused))) {
#if defined(__TARGET_ARCH_arm64)
    return word == 4 ? 1 : 0;
#else
    return 0;
#endif
}

SEC("tp_btf/sched_process_exec")
int on_exec(__u64 *arguments) {
    struct task_struct *task = (void *)arguments[0];
    struct linux_binprm *program = (void *)arguments[2];
    __u64 task_key = (__u64)task;
    __u64 mm = (__u64)task->mm;
    __u32 tgid = (__u32)task->tgid;

    struct cpulevel_image *inherited = bpf_map_lookup_elem(&carried, &task_key);
    struct meet meet = {.counts = COUNT_EXEC};
    int all = meet_scopes(&meet, tgid);
    if (!inherited && meet.scopes == 0 && all) {
        bpf_map_delete_elem(&images, &mm);
        return 0;
    }
    count(CPULEVEL_COUNT_EXECS);
    struct work *work = work_space();
    if (!work) return 0;
    if (inherited) {
        work->image = *inherited;
        bpf_map_delete_elem(&carried, &task_key);
    } else {
        __builtin_memset(&work->image, 0, sizeof(work->image));
    }
    work->image.edit_count = 0;
    __u32 strict = meet.flags & CPULEVEL_STRICT;
    if (!all) fail(CPULEVEL_TOO_DEEP, 0, strict, tgid);

    const char *head = program->buf;
    if (head[0] != 0x7f || head[1] != 'E' || head[2] != 'L' || head[3] != 'F' || (head[4] != 1 && head[4] != 2)) {
        fail(CPULEVEL_NOT_ELF, 0, strict, tgid);
        bpf_map_update_elem(&images, &mm, &work->image, BPF_ANY);
        return 0;
    }
    struct stack stack = {.word = head[4] == 1 ? 4 : 8};
    stack.vector = program->p + stack.word * ((__u64)(__u32)program->argc + (__u32)program->envc + 3);
    __u32 zero = 0;
    struct cpulevel_config *settings = bpf_map_lookup_elem(&config, &zero);
    stack.broken = settings && settings->break_writes;

    scan_vector(task->mm, stack.word);
    int family = family_of(stack.word);
    if ((work->vector.found & (1U << SLOT_SECURE)) && work->vector.value[SLOT_SECURE]) {
        for (int i = 0; i < CPULEVEL_FAMILIES; i++) {
            if (work->image.family[i].marked) work->image.outranked |= 1U << i;
        }
    }
    __u32 reason = 0;
#pragma unroll
    for (int slot = 0; slot < CPULEVEL_EDITS; slot++) {
        if (!(work->vector.found & (1U << slot))) continue;
        __u64 value = shown(slot, work, &meet, family);
        if (value == work->vector.value[slot]) continue;
        __u32 failed = write_entry(&stack, work->vector.index[slot], type_of(slot), value);
        if (failed) {
            reason = failed;
            continue;
        }
        __u32 at = work->image.edit_count;
        if (at < CPULEVEL_EDITS) {
            work->image.edits[at].value = value;
            work->image.edits[at].offset = (2 * work->vector.index[slot] + 1) * stack.word;
            work->image.edits[at].size = stack.word;
            work->image.edit_count = at + 1;
        }
    }
    if (work->image.edit_count) count(CPULEVEL_COUNT_CHANGED);
    __u32 marked = work->image.family[0].marked | work->image.family[1].marked;
    if (marked || work->image.edit_count) {
        long error = bpf_map_update_elem(&images, &mm, &work->image, BPF_ANY);
        if (error) fail(CPULEVEL_NO_MEMORY, error, strict, tgid);
    } else {
        bpf_map_delete_elem(&images, &mm);
    }
    if (reason) fail(reason, stack.error, strict, tgid);
    return 0;
}

/* exec_mm_release(task, mm): the task leaves its old memory image for the new program's. */
SEC("kprobe/exec_mm_release")
int on_leave_image(struct pt_regs *ctx) {
    __u64 task = ARGUMENT1(ctx), mm = ARGUMENT2(ctx);
    struct cpulevel_image *image = bpf_map_lookup_elem(&images, &mm);
    if (!image || !(image->family[0].marked | image->family[1].marked)) return 0;
    if (bpf_map_update_elem(&carried, &task, image, BPF_ANY)) count(CPULEVEL_COUNT_LOST);
    return 0;
}

/* ---- fork, exit ---- */

SEC("tp_btf/sched_process_fork")
int on_fork(__u64 *arguments) {
    struct task_struct *parent = (void *)arguments[0], *child = (void *)arguments[1];
    __u32 parent_tgid = (__u32)parent->tgid, child_tgid = (__u32)child->tgid;
    if (parent_tgid != child_tgid) {
        __u64 *tree = bpf_map_lookup_elem(&members, &parent_tgid);
        if (tree) {
            __u64 number = *tree;
            if (bpf_map_update_elem(&members, &child_tgid, &number, BPF_ANY)) count(CPULEVEL_COUNT_LOST);
        }
    }
    __u64 from = (__u64)parent->mm, to = (__u64)child->mm;
    if (to == 0 || from == to) return 0;
    struct cpulevel_image *image = from ? bpf_map_lookup_elem(&images, &from) : 0;
    if (image) {
        if (bpf_map_update_elem(&images, &to, image, BPF_ANY)) count(CPULEVEL_COUNT_LOST);
    } else {
        bpf_map_delete_elem(&images, &to);
    }
    return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(__u64 *arguments) {
    struct task_struct *task = (void *)arguments[0];
    __u64 key = (__u64)task, call = bpf_get_current_pid_tgid();
    bpf_map_delete_elem(&carried, &key); /* an exec that was killed half way */
    bpf_map_delete_elem(&calls, &call);
    bpf_map_delete_elem(&reads, &call);
    if (task->signal->live.counter == 0) {
        __u32 tgid = (__u32)task->tgid;
        bpf_map_delete_elem(&members, &tgid);
    }
    return 0;
}

SEC("kprobe/__mmdrop")
int on_image_end(struct pt_regs *ctx) {
    __u64 mm = ARGUMENT1(ctx);
    bpf_map_delete_elem(&images, &mm);
    return 0;
}

#include "calls.bpf.h"
