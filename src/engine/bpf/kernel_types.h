/* The fields of kernel structures that the programs use, and no others. preserve_access_index makes each access a
 * relocation by name: libbpf puts in the offset that the running kernel's BTF gives (CO-RE). So no header of any one kernel is
 * needed to build, and one object fits them all. Order and size here mean nothing. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

enum {
    BPF_ANY = 0,
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_F_NO_PREALLOC = 1,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mm_struct {
    unsigned long saved_auxv[1]; /* the size is the kernel's: bpf_core_field_size() */
};

typedef struct {
    int counter;
} atomic_t;

struct signal_struct {
    atomic_t live; /* threads that have not ended */
};

struct task_struct {
    int pid;
    int tgid;
    struct mm_struct *mm;
    struct signal_struct *signal;
};

struct linux_binprm {
    unsigned long p; /* top of the new stack: argc stands there */
    int argc;
    int envc;
    char buf[256]; /* the first bytes of the program's file */
};

struct file {
    void *private_data;
};

#pragma clang attribute pop

/* Registers at a kprobe: part of the kernel's binary interface to BPF programs, so they are not relocated. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define ARGUMENT1(regs) ((regs)->di)
#define ARGUMENT2(regs) ((regs)->si)
#define ARGUMENT3(regs) ((regs)->dx)
#define ARGUMENT4(regs) ((regs)->cx)
#define RETURNED(regs) ((regs)->ax)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
    unsigned long regs[31], sp, pc, pstate;
};
#define ARGUMENT1(r) ((r)->regs[0])
#define ARGUMENT2(r) ((r)->regs[1])
#define ARGUMENT3(r) ((r)->regs[2])
#define ARGUMENT4(r) ((r)->regs[3])
#define RETURNED(r) ((r)->regs[0])
#else
#error "no registers for this architecture"
#endif
