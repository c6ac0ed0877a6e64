// Large numbers, and a meet of types of nodes instead of single ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "cli/view.h"

namespace cpulevel::cli {

[[nodiscard]] std::string with_commas(std::uint64_t number);  // "100,000"
[[nodiscard]] std::string nodes_count(std::uint64_t nodes);   // "1 node", "100,000 nodes"

// What the level was made of: each stands for so many of its type; without counts, for itself. `alone` is what each of
// them costs the others (fleet::alone_costs).
struct LevelledNodes {
    std::span<const profile::NodeProfile> nodes;
    std::span<const std::size_t> counts;
    std::span<const arch::FeatureSet> alone;
};
// Nodes, and what each alone costs the others; each feature lost, to whom, and what followed by closure.
[[nodiscard]] std::string losses_text(const level::Meet& meet, const LevelledNodes& made_of, const View& view);

}  // namespace cpulevel::cli
