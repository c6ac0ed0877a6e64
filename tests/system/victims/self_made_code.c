// CPUID in code that no file contains: written by the program at run time (as JIT compilers do), and unpacked over
// itself. Only CPUID faulting can level this; without it the runner skips the test, saying so.
#include <sys/mman.h>

#include "common.h"

int main(void) {
    // push %rbx; mov %edi,%eax; mov %esi,%ecx; cpuid; mov %ebx,%eax; pop %rbx; ret
    static const unsigned char code[] = {0x53, 0x89, 0xf8, 0x89, 0xf1, 0x0f, 0xa2, 0x89, 0xd8, 0x5b, 0xc3};
    unsigned char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED, "mmap");
    memcpy(page, code, sizeof code);
    MUST(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0, "mprotect");
    const uint32_t made = ((uint32_t(*)(uint32_t, uint32_t))(uintptr_t)page)(7, 0);
    printf("made.leaf7.ebx=0x%08x\nown.leaf7.ebx=0x%08x\n", made, cpuid(7, 0).ebx);
    MUST(memcmp(page, code, sizeof code) == 0, "somebody changed the program's code");
    return 0;
}
