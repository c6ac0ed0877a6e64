// Where a process is to go: what every machine that it may come to is known to have, and the most that any of them
// asks for. From a level (any of its machines) or from one machine's profile.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/node_profile.h"

namespace cpulevel::audit {

struct Target {
    std::string name;
    arch::Architecture architecture = arch::Architecture::x86_64;
    arch::FeatureSet features;  // each machine has them
    arch::FeatureSet known;     // what else may be judged: a feature that is in neither is not held against a process

    // x86. The XSAVE components that each machine enables at the least, and where they stand in the standard format.
    // Absent: not told.
    std::optional<std::uint64_t> components;
    std::map<unsigned, profile::XsaveComponent> places;
    // Bytes that a signal frame's state may have at the most so that each machine restores all of it: the kernel takes a
    // larger one for one without extended state (arch/x86/kernel/fpu/signal.c, check_xstate_in_sigframe()).
    std::optional<std::uint32_t> frame_state;
    // Bytes that XSAVE and XSAVEC write at the most on any of the machines; 0: XSAVE is not in use there. Absent: not told.
    std::optional<std::uint32_t> largest_area;
    std::optional<std::uint32_t> largest_compacted_area;

    std::array<std::optional<std::uint64_t>, 4> hwcap;
    std::optional<std::uint64_t> minimum_signal_stack;   // bytes, the largest of the machines
    std::map<std::string, std::uint64_t> registers;      // arm64 values, as the profile has them
};

[[nodiscard]] Target target_of(const level::Level& level);
[[nodiscard]] Target target_of(const profile::NodeProfile& node);

}  // namespace cpulevel::audit
