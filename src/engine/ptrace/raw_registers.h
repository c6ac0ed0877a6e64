// A thread's general registers as ptrace gives them: what Registers keeps. The only place in the engine that asks what
// is compiled for.
#pragma once

#if defined(__aarch64__)
#include "engine/ptrace/raw_registers_aarch64.h"
#else
#include <sys/user.h>

namespace cpulevel::engine::ptrace {
using RawRegisters = user_regs_struct;
}  // namespace cpulevel::engine::ptrace
#endif
