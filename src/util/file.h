// Whole files: read with a bound, written whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "util/error.h"

namespace cpulevel {

inline constexpr std::size_t kMaximumInputFile = 64U << 20U;  // bytes; a larger input is refused, not read

// Reads a regular file, pipe or /proc file up to `limit` bytes; "-" is standard input. More is an error.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit = kMaximumInputFile);

// Temporary file in the same folder, fsync, rename: a reader never sees half a file. Mode 0666 & ~umask. What is there
// already and is no regular file (a device, a pipe) is written to, and stays what it is.
[[nodiscard]] Result<void> write_file_atomically(const std::string& path, std::string_view content);

}  // namespace cpulevel
