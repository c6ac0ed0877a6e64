// Asks CPUID leaf 7 once for each line of the file argv[1], in two functions, and prints what they say: EBX. One begins with an
// instruction that is shorter than a jump, behind which the CPUID stands; in the other the CPUID stands in the middle.
#include "common.h"

__asm__(
    ".text\n"
    ".type ask_at_entry, @function\n"
    "ask_at_entry:\n"
    "    .cfi_startproc\n"
    "    mov %rbx, %r8\n"
    "    cpuid\n"
    "    jmp 1f\n"
    "1:  mov %ebx, %eax\n"
    "    mov %r8, %rbx\n"
    "    ret\n"
    "    .cfi_endproc\n"
    ".size ask_at_entry, . - ask_at_entry\n");

static uint32_t at_entry(void) {
    uint32_t eax = 7, ecx = 0;
    __asm__ volatile("call ask_at_entry" : "+a"(eax), "+c"(ecx) : : "rdx", "r8", "memory");
    return eax;
}

int main(int argc, char** argv) {
    FILE* const orders = fopen(argc > 1 ? argv[1] : "", "r");
    MUST(orders != NULL, "usage: probed FILE");
    char line[64];
    for (int i = 1; fgets(line, sizeof line, orders) != NULL; ++i) {
        printf("entry%d=0x%08x\nmiddle%d=0x%08x\n", i, at_entry(), i, cpuid(7, 0).ebx);
        fflush(stdout);
    }
    printf("ended=1\n");
    return 0;
}
