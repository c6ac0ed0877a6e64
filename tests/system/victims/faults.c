// Real faults of many kinds, each caught by a handler that prints what it was told (signal, si_code, si_addr,
// where). A levelled run must print exactly what a bare run prints: only CPUID itself is ever taken away from the
// program, and several of these look much like it (SI_KERNEL with address 0).
#define _GNU_SOURCE
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "common.h"

static sigjmp_buf back;
static volatile uintptr_t page;  // addresses are printed relative to this
static volatile sig_atomic_t caught_signal, caught_code, caught_inside_cpuid;
static volatile uintptr_t caught_address;
static volatile int caught_value, caught_trap;
static uint64_t digest;

static void on_signal(int signal, siginfo_t* info, void* context) {
    const ucontext_t* user = context;
    caught_signal = signal;
    caught_code = info->si_code;
    caught_address = (uintptr_t)info->si_addr;
    caught_value = info->si_value.sival_int;
    caught_trap = (int)user->uc_mcontext.gregs[REG_TRAPNO];
#ifdef __x86_64__
    caught_inside_cpuid = cpuid_digest() == digest;  // CPUID in the handler of a real SIGSEGV, with SIGSEGV blocked
#else
    caught_inside_cpuid = 1;  // 32-bit CPUID is always a trap, and in a SIGSEGV handler that is a limit (decision 005)
#endif
    siglongjmp(back, 1);
}

static void report(const char* what) {
    const uintptr_t address = caught_address;
    printf("%s=signal %d code %d ", what, (int)caught_signal, (int)caught_code);
    if (caught_code <= 0) {
        printf("value %d", caught_value);  // sent by a process: the union holds pid, uid and value
    } else if (page != 0 && address >= page && address < page + 4096) {
        printf("address page+0x%lx", (unsigned long)(address - page));
    } else if (caught_signal == SIGTRAP || caught_signal == SIGILL || caught_signal == SIGFPE) {
        printf("address of the instruction");
    } else {
        printf("address 0x%lx", (unsigned long)address);
    }
    printf(" trap %d\n", caught_code > 0 ? caught_trap : -1);
    MUST(caught_inside_cpuid, "CPUID answered otherwise in the handler");
    caught_signal = 0;
}

#define FAULT(name, statement)             \
    do {                                   \
        if (sigsetjmp(back, 1) == 0) {     \
            statement;                     \
            printf("%s=nothing\n", name);  \
        } else {                           \
            report(name);                  \
        }                                  \
    } while (0)

static void queue_segv(int value) {
    union sigval v = {.sival_int = value};
    sigqueue(getpid(), SIGSEGV, v);
}

int main(void) {
    digest = cpuid_digest();
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;
    const int kinds[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        sigaction(kinds[i], &action, NULL);
    }

    FAULT("null_read", *(volatile int*)0);
    FAULT("null_write", *(volatile int*)0 = 1);
    FAULT("low_address", *(volatile int*)0x123 = 1);
    char* p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED, "mmap");
    page = (uintptr_t)p;
    FAULT("read_only", *(volatile char*)(p + 0x21) = 1);
    mprotect(p, 4096, PROT_NONE);
    FAULT("no_access", *(volatile char*)(p + 0x42));
    FAULT("not_executable", ((void (*)(void))(uintptr_t)p)());
    munmap(p, 4096);
    FAULT("unmapped", *(volatile char*)(p + 0x63));
#ifdef __x86_64__
    // A general protection fault: the kernel says SI_KERNEL and address 0, exactly as for a CPUID fault.
    FAULT("non_canonical", *(volatile char*)0x8000000000001234);
#endif
    FAULT("hlt", __asm__ volatile("hlt" ::: "memory"));  // the program's own; not one that levelling planted
    FAULT("cli", __asm__ volatile("cli" ::: "memory"));
    FAULT("port_input", __asm__ volatile("inb $0x80, %%al" ::: "eax", "memory"));
    FAULT("interrupt", __asm__ volatile("int $0x2d" ::: "memory"));
    FAULT("breakpoint", __asm__ volatile("int3" ::: "memory"));
    FAULT("breakpoint_long_form", __asm__ volatile(".byte 0xcd, 0x03" ::: "memory"));
    FAULT("undefined_instruction", __asm__ volatile("ud2" ::: "memory"));
    FAULT("divide", __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" ::: "eax", "ecx", "edx", "memory"));
    FAULT("sent_by_raise", raise(SIGSEGV));
    FAULT("sent_by_kill", kill(getpid(), SIGSEGV));
    FAULT("sent_by_sigqueue", queue_segv(4711));
    FAULT("trap_sent_by_kill", kill(getpid(), SIGTRAP));
    FAULT("trap_sent_by_raise", raise(SIGTRAP));
#ifdef __x86_64__
    // The program single-steps itself over one instruction with the trap flag.
    FAULT("trap_flag", __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop" ::: "memory", "cc"));
#endif
    // Thousands of real faults, with CPUID in each handler.
    volatile int count = 0;
    for (volatile int i = 0; i < 2000; ++i) {
        if (sigsetjmp(back, 1) == 0) {
            *(volatile int*)(uintptr_t)(i & 0xff8) = 1;
        } else {
            count = count + (caught_signal == SIGSEGV && caught_code == SEGV_MAPERR && caught_inside_cpuid != 0);
        }
    }
    printf("many=%d\n", count);
    return 0;
}
