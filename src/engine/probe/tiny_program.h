// Two programs of a few instructions, written by hand, without libraries: for probes that must exec something which
// cannot fail for a reason of its own, on machines where no file of ours exists.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::engine::probe {

inline constexpr int kTinyExitStatus = 42;
inline constexpr std::size_t kStackBytes = 416;  // argc, argv[0], two NULLs and 24 auxiliary entries

// Writes kStackBytes from its first stack pointer to descriptor 1, then exits with kTinyExitStatus.
[[nodiscard]] std::vector<std::byte> stack_printer_x86_64();
[[nodiscard]] std::vector<std::byte> stack_printer_aarch64();
// i386: exits with kTinyExitStatus.
[[nodiscard]] std::vector<std::byte> exiter_i386();

// An anonymous file that can be executed (memfd); closed by the exec itself.
[[nodiscard]] Result<Fd> executable_memory_file(std::span<const std::byte> image);

// Replaces the calling process; returns errno if it could not. argv is {"probe"}, the environment is empty.
[[nodiscard]] int execute(int fd);

}  // namespace cpulevel::engine::probe
