// A byte of a tracee that was changed, and what it was: to be put back if a later step fails.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace cpulevel::engine::ptrace {

struct ChangedByte {
    pid_t tid = 0;
    std::uint64_t address = 0;
    std::byte was{};
};

}  // namespace cpulevel::engine::ptrace
