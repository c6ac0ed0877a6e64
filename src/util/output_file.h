// The file that a user names for a result (-o, --html, --report).
//
// A regular file is replaced whole (write_file_atomically()) and keeps its mode. What is not a file is not replaced: as root,
// a rename over /dev/null would take the machine's away. A pipe or a device is written to, as a shell's > would do it. A
// symbolic link is followed to its file, but not one that somebody else has put into a folder that all may write to
// (fs.protected_symlinks, Documentation/admin-guide/sysctl/fs.rst: the kernel refuses those that it follows itself).
#pragma once

#include <string>
#include <string_view>

#include "util/error.h"

namespace cpulevel {

[[nodiscard]] Result<void> write_output_file(const std::string& path, std::string_view content);

// Before long work whose result goes there: can it be written, as things stand now? Changes nothing.
[[nodiscard]] Result<void> check_output_file(const std::string& path);

}  // namespace cpulevel
