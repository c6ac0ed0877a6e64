// The search for the best partition into pools. Internal to this room; pools.h is the front.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "fleet/pool_model.h"

namespace cpulevel::fleet {

// Node types that are the same to the search.
struct Kind {
    PoolState state;
    arch::FeatureSet alone;       // what its level shows, of value, with no other kind
    std::uint64_t alone_value = 0;
    std::uint64_t count = 0;      // nodes
    std::vector<std::size_t> types;
};

struct SearchLimits {
    std::optional<std::size_t> lose_at_most;
    arch::FeatureSet never_lose;
};

// Several kinds together.
struct Group {
    PoolState state;
    std::uint64_t count = 0;
    std::size_t most_alone = 0;  // the most features of value that any member shows alone
    arch::FeatureSet keep;       // features that some member must not lose
    std::uint64_t level_value = 0;
    bool admissible = false;
    [[nodiscard]] std::uint64_t value() const { return admissible ? count * level_value : 0; }
};

// What every part of the search asks.
class Grouper {
   public:
    Grouper(const PoolModel& model, const SearchLimits& limits) : model_(&model), limits_(limits) {}
    [[nodiscard]] Group of(const Kind& kind) const;
    [[nodiscard]] Group with(Group group, const Kind& kind) const;
    [[nodiscard]] Group of(const std::vector<Kind>& kinds, const std::vector<std::size_t>& members) const;

   private:
    void evaluate(Group& group) const;

    const PoolModel* model_;
    SearchLimits limits_;
};

using Partition = std::vector<std::vector<std::size_t>>;  // numbers of kinds, no pool empty

struct Found {
    std::optional<Partition> partition;  // none: none is admissible, or (not exact) none was found
    std::uint64_t value = 0;
    std::uint64_t bound = 0;             // no admissible partition has more
    bool exact = true;
};

// pool_start.cpp: a good partition in little time: merge what costs least, then move kinds while that helps.
[[nodiscard]] std::optional<Partition> quick_partition(const std::vector<Kind>& kinds, std::size_t pools,
                                                       const Grouper& grouper);
[[nodiscard]] std::uint64_t value_of(const Partition& partition, const std::vector<Kind>& kinds, const Grouper& grouper);

// pool_search.cpp: at most `pools` pools. Kinds must be fewer than kMostSearched.
inline constexpr std::size_t kMostSearched = 64;
[[nodiscard]] Found branch_and_bound(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper,
                                     std::size_t budget);

// pool_subsets.cpp: the same for at most kMostBySubsets kinds, in time that does not depend on the kinds: 3^n.
inline constexpr std::size_t kMostBySubsets = 20;
[[nodiscard]] Found by_subsets(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper);

}  // namespace cpulevel::fleet
