// What every engine is asked and what it answers. Engines: ptrace (this process supervises the tree), kernel and
// bpf (to come). A channel is one road by which a program finds out about its CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "level/level.h"
#include "util/error.h"

namespace cpulevel::engine {

enum class ChannelState : std::uint8_t { full, partial, none };
[[nodiscard]] std::string_view name(ChannelState state);

struct Channel {
    std::string name;  // "auxiliary vector on the stack", "/proc/PID/auxv", "CPUID", ...
    ChannelState state = ChannelState::none;
    std::string why;   // when not full: what is missing, and what that means
};

using Coverage = std::vector<Channel>;

}  // namespace cpulevel::engine
