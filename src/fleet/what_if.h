// What holds a fleet's level down: what each type of nodes costs the others, and what the level would be without some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "arch/feature.h"
#include "fleet/pools.h"
#include "fleet/types.h"
#include "level/meet.h"

namespace cpulevel::fleet {

// The level of the fleet if all nodes of these types were left out.
struct Removal {
    std::vector<std::size_t> types;  // numbers in Fleet::types
    std::size_t nodes = 0;           // left out with them
    arch::FeatureSet gained;         // features that the level of the others would have more
    std::uint64_t value = 0;         // of the gained features, for each node that stays
};

// One for each type, the largest gain first (value, then the fewer nodes left out). Types whose removal alone gains
// nothing are at the end. Empty where the fleet has only one type. Nothing where the nodes cannot share a level.
[[nodiscard]] std::optional<std::vector<Removal>> rank_removals(const Fleet& fleet, const level::MeetOptions& options,
                                                                const FeatureValues& values);

// The same by row: what the level would gain if all nodes of this row, and no others, were left out. "Alone costs" in
// tables, in the page and in JSON is this, and nothing else. The rows are types, or single nodes. All empty where the
// nodes cannot share a level.
[[nodiscard]] std::vector<arch::FeatureSet> alone_costs(const Fleet& fleet, const level::MeetOptions& options);
[[nodiscard]] std::vector<arch::FeatureSet> alone_costs(std::span<const profile::NodeProfile> nodes,
                                                        const level::MeetOptions& options);

// Several types often lack the same feature, so that leaving out one alone gives nothing. Step by step: of all lost
// features, the one for which leaving out all types that lack it gives the most: the value that the nodes that stay
// gain together, for each node that goes. On the way to it, whatever gains something with fewer types is a step of its
// own. Each step contains the ones before it; it ends where nothing more can be gained.
[[nodiscard]] std::optional<std::vector<Removal>> removal_steps(const Fleet& fleet, const level::MeetOptions& options,
                                                                const FeatureValues& values);

}  // namespace cpulevel::fleet
