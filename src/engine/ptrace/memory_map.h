// /proc/PID/maps (proc(5)): what is mapped where in a tracee.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "util/fd.h"

namespace cpulevel::engine::ptrace {

struct MemoryMapping {
    std::uint64_t start = 0, end = 0;  // [start, end)
    std::uint64_t offset = 0;          // in the file
    std::uint64_t inode = 0;           // 0: no file
    bool executable = false;
    std::string path;                  // as the tracee's namespace had it; " (deleted)" and all
};

[[nodiscard]] std::vector<MemoryMapping> parse_memory_map(std::string_view text);  // malformed lines are left out
[[nodiscard]] std::vector<MemoryMapping> read_memory_map(pid_t pid);               // empty: gone or not allowed

// The mapped file, for reading; invalid when it cannot be had or is another one than the mapped by now. The path is
// looked up below the tracee's own root; its program (`is_program`) by /proc/PID/exe, which is always the mapped one.
[[nodiscard]] Fd open_mapped_file(pid_t pid, const MemoryMapping& mapping, bool is_program);

}  // namespace cpulevel::engine::ptrace
