// Whole files: read with a bound, written whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "util/error.h"

namespace cpulevel {

inline constexpr std::size_t kMaximumInputFile = 64U << 20U;  // bytes; a larger input is refused, not read

// Reads a regular file, pipe or /proc file up to `limit` bytes; "-" is standard input. More is an error.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit = kMaximumInputFile);

// The same for a path that has to be a regular file, in a folder that came from elsewhere: a pipe there would never end, or never begin.
[[nodiscard]] Result<std::string> read_regular_file(const std::string& path, std::size_t limit = kMaximumInputFile);

// False: not all of it could be written, errno says why.
[[nodiscard]] bool write_all(int fd, std::string_view content);

// Temporary file in the same folder, fsync, rename: a reader never sees half a file. `mode` is as it is, not under the umask;
// without one it is 0666 & ~umask. Whatever had the name is gone: what a user names is write_output_file()'s (output_file.h).
[[nodiscard]] Result<void> write_file_atomically(const std::string& path, std::string_view content,
                                                 std::optional<mode_t> mode = {});

}  // namespace cpulevel
