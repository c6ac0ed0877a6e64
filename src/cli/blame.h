// Who costs a feature: for a feature that some node lacks, those nodes; for one that went by closure, the nodes that
// cost what it needs. So a loss is told once, with everything that followed from it.
#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "level/meet.h"

namespace cpulevel::cli {

// Losses with the same guilty nodes.
struct BlameGroup {
    std::set<std::string> nodes;
    std::vector<const level::Loss*> direct;      // these nodes lack it (or do not say)
    std::vector<const level::Loss*> by_closure;  // every node has it, but not what it needs
};

struct Blame {
    std::vector<BlameGroup> groups;           // fewest nodes first, then the most features
    std::vector<const level::Loss*> general;  // no node's fault: never shown, layout, consistency
};

// The losses must outlive the result.
[[nodiscard]] Blame blame(std::span<const level::Loss> losses);

}  // namespace cpulevel::cli
