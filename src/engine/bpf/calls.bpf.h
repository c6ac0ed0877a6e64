/* Part of program.bpf.c: the calls that replace a saved vector, and those that read one. */
#pragma once

/* ---- prctl ---- */

/* Bytes [position, position + length) of an image's saved vector were copied to the buffer: what its program was
 * shown is put in their place. */
static __noinline void correct(__u64 mm, __u64 buffer, __u64 position, __u64 length) {
    struct cpulevel_image *image = bpf_map_lookup_elem(&images, &mm);
    if (!image || image->edit_count == 0) return;
    long error = 0;
    for (__u32 i = 0; i < CPULEVEL_EDITS; i++) {
        if (i >= image->edit_count) break;
        __u64 value = image->edits[i].value;
        __u64 start = image->edits[i].offset, end = start + image->edits[i].size;
        if (start >= position && end <= position + length) {
            __u64 at = buffer + (start - position);
            error |= end - start == 4 ? bpf_probe_write_user((void *)at, &value, 4) : bpf_probe_write_user((void *)at, &value, 8);
            continue;
        }
        for (__u32 byte = 0; byte < 8; byte++) { /* a read that begins or ends inside of the word */
            __u64 where = start + byte;
            if (where >= end || where < position || where >= position + length) continue;
            __u8 part = (__u8)(value >> (8 * byte));
            error |= bpf_probe_write_user((void *)(buffer + (where - position)), &part, 1);
        }
    }
    count(CPULEVEL_COUNT_READS);
    if (error) count(CPULEVEL_COUNT_READ_FAILURES);
}

static __always_inline int begin_prctl(__u64 option, __u64 second, __u64 third, __u32 word) {
    struct pending_call call = {.word = word};
    __u64 key = bpf_get_current_pid_tgid();
    option &= 0xffffffffULL;
    if (option == PR_GET_AUXV) {
        call.reads = 1;
        call.address = second;
        call.length = third;
    } else if (option == PR_SET_MM && second == PR_SET_MM_MAP) {
        call.address = third;
    } else if (option != PR_SET_MM || second != PR_SET_MM_AUXV) {
        return 0;
    }
    if (bpf_map_lookup_elem(&calls, &key)) count(CPULEVEL_COUNT_LOST); /* the end of the call before was missed */
    if (bpf_map_update_elem(&calls, &key, &call, BPF_ANY)) count(CPULEVEL_COUNT_LOST);
    return 0;
}

static __noinline int end_prctl(__s64 result) {
    __u64 key = bpf_get_current_pid_tgid();
    struct pending_call *pending = bpf_map_lookup_elem(&calls, &key);
    if (!pending) return 0;
    struct pending_call call = *pending;
    bpf_map_delete_elem(&calls, &key);
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct mm_struct *image_mm = BPF_CORE_READ(task, mm);
    __u64 mm = (__u64)image_mm;
    if (call.reads) {
        __u64 size = (__u64)result; /* of the whole vector; at most `length` was copied */
        if (result > 0) correct(mm, call.address, 0, call.length < size ? call.length : size);
        return 0;
    }
    if (result != 0 || mm == 0) return 0;
    if (call.address) {
        /* Without a vector it changed other things, and marks nothing. Where that cannot be read any more (a failed read
         * gives 0), the vector counts: if it is the kernel's own still, nothing comes of it. */
        __u32 size;
        if (bpf_probe_read_user(&size, sizeof(size), (void *)(call.address + AUXV_SIZE_IN_MAP)) == 0 && size == 0) return 0;
    }
    struct cpulevel_image *known = bpf_map_lookup_elem(&images, &mm);
    __u32 tgid = (__u32)(key >> 32);
    struct meet meet = {.counts = COUNT_NONE};
    meet_scopes(&meet, tgid);
    if (!known && meet.scopes == 0) return 0;
    struct work *work = work_space();
    if (!work || !scan_vector(image_mm, call.word)) return 0;
    if (known) {
        work->image = *known;
    } else {
        __builtin_memset(&work->image, 0, sizeof(work->image));
    }
    work->image.edit_count = 0; /* readers now see what the program itself set */
    int family = family_of(call.word);
    struct cpulevel_words *words = &work->image.family[family];
    words->marked = 1;
    words->present = work->vector.found & ((1U << CPULEVEL_WORDS) - 1);
    for (int i = 0; i < CPULEVEL_WORDS; i++) words->value[i] = work->vector.value[i];
    work->image.outranked &= ~(1U << family);
    count(bpf_map_update_elem(&images, &mm, &work->image, BPF_ANY) ? CPULEVEL_COUNT_LOST : CPULEVEL_COUNT_MARKS);
    return 0;
}

/* A system call's function gets the program's registers as its only argument. */
static __always_inline int read_registers(struct pt_regs *ctx, struct pt_regs *of_program) {
    return bpf_probe_read_kernel(of_program, sizeof(*of_program), (void *)ARGUMENT1(ctx)) == 0;
}

#if defined(__TARGET_ARCH_x86)
SEC("kprobe/__x64_sys_prctl")
int on_prctl(struct pt_regs *ctx) {
    struct pt_regs regs;
    if (!read_registers(ctx, &regs)) return 0;
    /* x32 programs have vectors of 32-bit words */
    return begin_prctl(regs.di, regs.si, regs.dx, regs.orig_ax & 0x40000000 ? 4 : 8);
}

SEC("kprobe/__ia32_sys_prctl")
int on_prctl_32(struct pt_regs *ctx) {
    struct pt_regs regs;
    if (!read_registers(ctx, &regs)) return 0;
    return begin_prctl((__u32)regs.bx, (__u32)regs.cx, (__u32)regs.dx, 4);
}

SEC("kretprobe/__ia32_sys_prctl")
int after_prctl_32(struct pt_regs *ctx) {
    return end_prctl((__s64)RETURNED(ctx));
}

SEC("kretprobe/__x64_sys_prctl")
#else
SEC("kprobe/__arm64_sys_prctl")
int on_prctl(struct pt_regs *ctx) {
    struct pt_regs regs;
    if (!read_registers(ctx, &regs)) return 0;
    return begin_prctl(regs.regs[0], regs.regs[1], regs.regs[2], regs.pstate & 0x10 ? 4 : 8); /* PSR_MODE32_BIT */
}

SEC("kretprobe/__arm64_sys_prctl")
#endif
int after_prctl(struct pt_regs *ctx) {
    return end_prctl((__s64)RETURNED(ctx));
}

/* ---- /proc/PID/auxv: auxv_read(file, buffer, count, position); the file holds the mm ---- */

SEC("kprobe/auxv_read")
int on_read(struct pt_regs *ctx) {
    struct file *file = (void *)ARGUMENT1(ctx);
    struct pending_read read = {.buffer = ARGUMENT2(ctx)};
    read.mm = (__u64)BPF_CORE_READ(file, private_data);
    if (!bpf_map_lookup_elem(&images, &read.mm)) return 0;
    if (bpf_probe_read_kernel(&read.position, sizeof(read.position), (void *)ARGUMENT4(ctx))) return 0;
    __u64 key = bpf_get_current_pid_tgid();
    if (bpf_map_update_elem(&reads, &key, &read, BPF_ANY)) count(CPULEVEL_COUNT_READ_FAILURES);
    return 0;
}

SEC("kretprobe/auxv_read")
int after_read(struct pt_regs *ctx) {
    __u64 key = bpf_get_current_pid_tgid();
    struct pending_read *pending = bpf_map_lookup_elem(&reads, &key);
    if (!pending) return 0;
    struct pending_read read = *pending;
    bpf_map_delete_elem(&reads, &key);
    __s64 length = (__s64)RETURNED(ctx);
    if (length > 0) correct(read.mm, read.buffer, read.position, (__u64)length);
    return 0;
}
