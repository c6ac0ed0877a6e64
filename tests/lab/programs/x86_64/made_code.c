// What CPUID says in code that no file has: leaf 7, EBX (AVX2 is bit 5).
//   made_code                  once
//   made_code thread           ... and once more in a new thread; `fork` and `vfork` so
//   made_code live             what is of the CPU that it is on: APIC id, x2APIC id
//   made_code loop             its process id; then it asks until it is ended: a line whenever the answer is a new one, and at SIGUSR1
//   made_code own_loop         ... by code of its file
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void (*ask)(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);
static ask made;

static ask make(void) {
    static const unsigned char code[] = {
        0x53,                    // push %rbx
        0x49, 0x89, 0xd0,        // mov %rdx,%r8
        0x89, 0xf8,              // mov %edi,%eax
        0x89, 0xf1,              // mov %esi,%ecx
        0x0f, 0xa2,              // cpuid
        0x41, 0x89, 0x00,        // mov %eax,(%r8)
        0x41, 0x89, 0x58, 0x04,  // mov %ebx,4(%r8)
        0x41, 0x89, 0x48, 0x08,  // mov %ecx,8(%r8)
        0x41, 0x89, 0x50, 0x0c,  // mov %edx,12(%r8)
        0x5b, 0xc3,              // pop %rbx; ret
    };
    unsigned char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
    memcpy(page, code, sizeof code);
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) return NULL;
    return (ask)(uintptr_t)page;
}

static uint32_t leaf7(void) {
    uint32_t registers[4];
    made(7, 0, registers);
    return registers[1];
}

static void* tell(void* unused) {
    printf("leaf7.ebx=0x%08x\n", leaf7());
    fflush(stdout);
    return unused;
}

static int in_child(int shares_memory) {
    // vfork: the child has the parent's memory and stack, and the parent waits until it has ended.
    const pid_t child = shares_memory ? vfork() : fork();
    if (child == 0) {
        tell(NULL);
        _exit(0);
    }
    int status = 1;
    return waitpid(child, &status, 0) != child || status != 0;
}

// Long enough behind its CPUID to be changed into a jump.
static __attribute__((noinline)) uint32_t own_leaf7(void) {
    uint32_t a = 7, b, c = 0, d;
    __asm__ volatile("cpuid; nop; nop; nop" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return b;
}

static volatile sig_atomic_t again;
static void on_signal(int number) { again = number; }

static void loop(uint32_t (*ask_leaf7)(void)) {
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    printf("%d\n", (int)getpid());
    uint32_t known = ~ask_leaf7();
    for (;;) {
        const uint32_t now = ask_leaf7();
        if (now == known && !again) continue;
        again = 0;
        printf("leaf7.ebx=0x%08x\n", now);
        fflush(stdout);
        known = now;
    }
}

int main(int argc, char** argv) {
    made = make();
    if (made == NULL) return 2;
    const char* how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "loop") == 0) loop(leaf7);
    if (strcmp(how, "own_loop") == 0) loop(own_leaf7);
    if (strcmp(how, "live") == 0) {
        uint32_t one[4], topology[4];
        made(1, 0, one);
        made(0xb, 0, topology);
        printf("apic=%u x2apic=%u\n", one[1] >> 24, topology[3]);
        return 0;
    }
    tell(NULL);
    if (strcmp(how, "fork") == 0) return in_child(0);
    if (strcmp(how, "vfork") == 0) return in_child(1);
    if (strcmp(how, "thread") == 0) {
        pthread_t thread;
        return pthread_create(&thread, NULL, tell, NULL) != 0 || pthread_join(thread, NULL) != 0;
    }
    return 0;
}
