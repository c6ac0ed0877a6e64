// A program that has just replaced another one (PTRACE_EVENT_EXEC), on its own stack but before its first
// instruction: where its auxiliary vector is, and what has to be changed.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/ptrace/registers.h"
#include "inherit/aux_vector.h"

namespace cpulevel::engine::ptrace {

struct StackVector {
    inherit::AuxVector vector;
    RemoteAddress at{};            // of the first entry
    std::vector<std::byte> bytes;  // as it stands on the stack, with AT_NULL
};

// Reads the stack from `stack` upwards: argc, argv, NULL, envp, NULL, auxv (arch ABI supplements, "process
// initialization"). Nothing when that is not what is there, or cannot be read.
[[nodiscard]] std::optional<StackVector> read_stack_vector(pid_t pid, RemoteAddress stack, inherit::WordSize size);

// Sets one entry in the bytes of a vector; false if the type is not there.
bool set_entry(std::vector<std::byte>& bytes, inherit::WordSize size, std::uint64_t type, std::uint64_t value);

}  // namespace cpulevel::engine::ptrace
