// Pools: a fleet cut into groups that have a level each. One level for all is what the weakest nodes have; with K
// levels, each node keeps as many features as it can. What is made as large as possible is the sum over all nodes of
// the value of the level that the node is in; the value of a level is the sum of its features' values.
//
// The search is exact (branch and bound, and dynamic programming over subsets where that runs out of budget) for as
// many different types as real fleets have, and says so; beyond that the result comes with an upper bound that no
// partition can exceed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "fleet/types.h"
#include "level/meet.h"
#include "util/error.h"

namespace cpulevel::fleet {

// What showing a feature is worth, by FeatureId; whole numbers.
using FeatureValues = std::vector<std::uint32_t>;
inline constexpr std::uint32_t kMostValue = 1000000;  // of one feature

// 1 for each feature that programs can use, 0 for those of use to a kernel only.
[[nodiscard]] FeatureValues default_values(const arch::FeatureTable& table);

struct PoolOptions {
    std::optional<std::size_t> pools;        // at most so many; absent: as few as the limits below allow
    std::optional<std::size_t> lose_at_most; // no node loses more of the features of value that it could show alone
    arch::FeatureSet never_lose;             // a node that could show one of these keeps it
    FeatureValues values;                    // empty: default_values
    level::MeetOptions meet;                 // allow, accept_unmaskable; `chosen` and `name` are not used
    // Work for the search before it settles for a bound, in partial partitions looked at.
    std::size_t budget = 200000;
};

struct PoolMember {
    std::size_t type = 0;    // number in Fleet::types
    arch::FeatureSet lost;   // features of value that it could show alone and that the pool's level has not
};

struct Pool {
    std::vector<PoolMember> members;  // most nodes first
    std::size_t nodes = 0;
    std::uint64_t value = 0;          // of the level: what each node of the pool has
    level::Meet meet;                 // the level is named by nobody yet
};

struct Pools {
    std::vector<Pool> pools;       // most nodes first
    std::uint64_t value = 0;       // the sum over all nodes
    std::uint64_t bound = 0;       // no partition that obeys the options has more; equal to `value` where exact
    bool exact = true;
    std::uint64_t separate = 0;    // every node with a level of its own: no partition has more
    std::optional<std::uint64_t> together;  // all nodes in one pool; absent where they cannot share a level
    std::size_t kinds = 0;         // types that differ in what pools depend on (features, layout, registers)
};

// Errors (refused): the limits or differences that nothing can hide (page size, HINT space, architecture) need more
// pools than allowed; says how many are needed where that is known.
[[nodiscard]] Result<Pools> make_pools(const Fleet& fleet, const PoolOptions& options);

}  // namespace cpulevel::fleet
