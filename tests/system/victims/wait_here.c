// Executes CPUID, says "ready=PID", and waits for a signal at its default disposition.
#include "common.h"

int main(void) {
    cpuid(0, 0);
    printf("ready=%d\n", (int)getpid());
    fflush(stdout);
    for (;;) {
        pause();
        cpuid(0, 0);
    }
}
