// CPU numbers in Linux list syntax ("0-7,16"), as /sys/devices/system/cpu/online has them (cpuset(7), "List Format").
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::profile {

inline constexpr unsigned kMaximumCpu = 65535;  // number; the kernel's own limit (NR_CPUS) is 8192 on x86

// Ascending, without repetitions. An empty list is valid; numbers above kMaximumCpu are not.
[[nodiscard]] Result<std::vector<unsigned>> parse_cpu_list(std::string_view text);

// In any order, repetitions allowed.
[[nodiscard]] std::string format_cpu_list(std::span<const unsigned> cpus);

}  // namespace cpulevel::profile
