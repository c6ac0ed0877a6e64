// Does CPUID faulting work on this machine? By doing it: the flag in /proc/cpuinfo is no proof.
// Exit 0: it works. 1: it does not, and the line printed says why.
#include <setjmp.h>

#include "common.h"

enum { kArchSetCpuid = 0x1012 };

static sigjmp_buf back;

static void on_segv(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}

int main(void) {
    signal(SIGSEGV, on_segv);
    if (syscall(SYS_arch_prctl, kArchSetCpuid, 0) != 0) {
        printf("arch_prctl(ARCH_SET_CPUID): %s\n", strerror(errno));
        return 1;
    }
    if (sigsetjmp(back, 1) == 0) {
        cpuid(0, 0);
        printf("ARCH_SET_CPUID succeeds, but CPUID does not fault\n");
        return 1;
    }
    printf("works\n");
    return 0;
}
