// The auxiliary vector and memory layout of the calling process, in the form in which PR_SET_MM_MAP wants them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace cpulevel::engine::probe {

struct NativeAuxEntry {
    unsigned long type = 0;
    unsigned long value = 0;
};

struct NativeAuxVector {
    std::array<NativeAuxEntry, 64> entries{};  // the kernel keeps at most some 30
    std::size_t count = 0;                     // with the closing AT_NULL
    [[nodiscard]] std::size_t bytes() const { return count * sizeof(NativeAuxEntry); }
    [[nodiscard]] NativeAuxEntry* find(unsigned long type);
};

// From /proc/self/auxv. Does not allocate: also for a child after fork().
[[nodiscard]] bool read_own_auxv(NativeAuxVector& vector);

// The fields of /proc/PID/stat that PR_SET_MM_MAP needs (proc(5): fields 26 to 28 and 45 to 51).
struct StatAddresses {
    unsigned long start_code = 0, end_code = 0, start_stack = 0, start_data = 0, end_data = 0, start_brk = 0,
                  arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
};
// Does not allocate. The program's name (field 2) may hold spaces and parentheses. Nothing if a field is missing.
[[nodiscard]] std::optional<StatAddresses> parse_stat_addresses(std::string_view stat);

// PR_SET_MM_MAP with the process's own layout and this vector; 0, or errno; -1 when /proc/self/stat cannot be read.
[[nodiscard]] int replace_saved_vector(NativeAuxVector& vector);

}  // namespace cpulevel::engine::probe
