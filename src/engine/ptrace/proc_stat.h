// The fields of /proc/PID/stat that the engine needs (proc(5); fs/proc/array.c): the borders of the memory image
// for PR_SET_MM_MAP, the signals blocked and ignored, the CPU. The mm fields are zero for who may not ptrace it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace cpulevel::engine::ptrace {

struct ProcStat {
    char state = '?';                                             // field 3
    pid_t parent = 0;                                             // field 4
    std::uint64_t start_time = 0;                                 // field 22, clock ticks since the boot
    std::uint64_t start_code = 0, end_code = 0, start_stack = 0;  // fields 26 to 28
    std::uint64_t blocked = 0, ignored = 0, caught = 0;           // fields 32 to 34, signals 1 to 31
    int processor = -1;                                           // field 39
    std::uint64_t start_data = 0, end_data = 0, start_brk = 0;    // fields 45 to 47
    std::uint64_t arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;  // fields 48 to 51
};

[[nodiscard]] std::optional<ProcStat> parse_proc_stat(std::string_view line);
[[nodiscard]] std::optional<ProcStat> read_proc_stat(pid_t tid);

// Numbers of /proc/PID/status (proc(5)); 0 where the kernel does not say.
[[nodiscard]] std::uint64_t count_filters(pid_t pid);  // Seccomp_filters
[[nodiscard]] pid_t process_of(pid_t tid);             // Tgid
[[nodiscard]] bool sigstop_is_pending(pid_t pid);      // ShdPnd: sent to the process, and nobody has stopped yet

}  // namespace cpulevel::engine::ptrace
