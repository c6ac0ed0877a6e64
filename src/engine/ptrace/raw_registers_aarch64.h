// arm64: regset NT_PRSTATUS. Its size tells the tracee's instruction set: struct user_pt_regs (272 bytes) for AArch64,
// r0 to r15, CPSR and ORIG_r0 (72 bytes) for AArch32 (arch/arm64/kernel/ptrace.c, task_user_regset_view()).
#pragma once

#include <asm/ptrace.h>

#include <array>
#include <cstdint>

namespace cpulevel::engine::ptrace {

struct RawRegisters {
    user_pt_regs wide{};
    std::array<std::uint32_t, 18> narrow{};  // r0..r12, sp, lr, pc, cpsr, ORIG_r0
    bool is_narrow = false;
    bool forget_syscall = false;  // set() also sets the number of the system call to "none"
};

}  // namespace cpulevel::engine::ptrace
