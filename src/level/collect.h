// What to collect to be certain. A description that does not say whether its machine has a feature, or how large its state
// is, costs the level that feature; this is the list of the descriptions that do, and of what would settle it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/node_profile.h"

namespace cpulevel::level {

// Nodes whose descriptions come from the same source and leave the same open.
struct ToCollect {
    std::vector<std::string> nodes;
    std::string origin;            // NodeProfile::origin
    arch::FeatureSet features;     // nobody is known to lack them, and these descriptions do not say
    bool xsave_layout = false;     // sizes and places of XSAVE components
    bool signal_stack = false;     // AT_MINSIGSTKSZ
    std::vector<std::string> registers;  // arm64: CTR_EL0 and others that other nodes tell
    std::string how;               // what to run, and where
};

[[nodiscard]] std::vector<ToCollect> what_to_collect(const arch::FeatureTable& table,
                                                     std::span<const profile::NodeProfile> nodes, const Level& level);

}  // namespace cpulevel::level
