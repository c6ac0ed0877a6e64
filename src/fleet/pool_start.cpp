#include <algorithm>
#include <numeric>

#include "fleet/pool_search.h"

namespace cpulevel::fleet {
namespace {

// Merging looks at all pairs again and again; with more kinds than this the rare ones join afterwards.
constexpr std::size_t kMostMerged = 400;

struct Cluster {
    std::vector<std::size_t> members;
    Group group;
};

// What a merge costs; nothing where it is not admissible.
std::optional<std::uint64_t> cost(const Cluster& a, const Cluster& b, const std::vector<Kind>& kinds, const Grouper& grouper,
                                  Group& merged) {
    const bool a_larger = a.members.size() >= b.members.size();
    merged = a_larger ? a.group : b.group;
    for (const std::size_t kind : a_larger ? b.members : a.members) merged = grouper.with(std::move(merged), kinds[kind]);
    if (!merged.admissible) return std::nullopt;
    return a.group.value() + b.group.value() - merged.value();
}

// Merges the cheapest pair until there are few enough pools and no merge is free.
bool merge(std::vector<Cluster>& pools, std::size_t wanted, const std::vector<Kind>& kinds, const Grouper& grouper) {
    const std::size_t n = pools.size();
    constexpr std::uint64_t kNever = ~std::uint64_t{0};
    std::vector<std::vector<std::uint64_t>> costs(n, std::vector<std::uint64_t>(n, kNever));
    const auto price = [&](std::size_t a, std::size_t b) {
        Group merged;
        return cost(pools[a], pools[b], kinds, grouper, merged).value_or(kNever);
    };
    for (std::size_t a = 0; a < n; ++a) {
        for (std::size_t b = a + 1; b < n; ++b) costs[a][b] = price(a, b);
    }
    std::size_t left = n;
    while (left > 1) {
        std::uint64_t best = kNever;
        std::size_t first = 0;
        std::size_t second = 0;
        for (std::size_t a = 0; a < n; ++a) {
            for (std::size_t b = a + 1; b < n; ++b) {
                if (costs[a][b] < best) {
                    best = costs[a][b];
                    first = a;
                    second = b;
                }
            }
        }
        if (best == kNever || (left <= wanted && best != 0)) break;
        Group merged;
        (void)cost(pools[first], pools[second], kinds, grouper, merged);
        pools[first].group = std::move(merged);
        std::ranges::move(pools[second].members, std::back_inserter(pools[first].members));
        pools[second].members.clear();
        --left;
        for (std::size_t other = 0; other < n; ++other) {
            costs[std::min(other, second)][std::max(other, second)] = kNever;
            if (other == first || pools[other].members.empty()) continue;
            costs[std::min(other, first)][std::max(other, first)] = price(first, other);
        }
    }
    std::erase_if(pools, [](const Cluster& pool) { return pool.members.empty(); });
    return left <= wanted;
}

// Moves single kinds to where they are better off, until none is.
void improve(Partition& partition, std::size_t wanted, const std::vector<Kind>& kinds, const Grouper& grouper) {
    constexpr int kMostRounds = 50;
    bool moved = true;
    for (int round = 0; moved && round < kMostRounds; ++round) {
        moved = false;
        for (std::size_t from = 0; from < partition.size(); ++from) {
            for (std::size_t at = 0; at < partition[from].size(); ++at) {
                const std::size_t kind = partition[from][at];
                std::vector<std::size_t> rest = partition[from];
                rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
                const std::uint64_t before = grouper.of(kinds, partition[from]).value();
                const std::uint64_t without = rest.empty() ? 0 : grouper.of(kinds, rest).value();
                std::size_t best_to = from;
                std::uint64_t best = before;  // of what this pool and the target have together, less the target before
                for (std::size_t to = 0; to < std::min(partition.size() + 1, wanted); ++to) {
                    if (to == from || (to == partition.size() && rest.empty())) continue;
                    const bool fresh = to == partition.size();
                    const Group target = fresh ? Group{} : grouper.of(kinds, partition[to]);
                    const Group joined = fresh ? grouper.of(kinds[kind]) : grouper.with(target, kinds[kind]);
                    if (!joined.admissible) continue;
                    const std::uint64_t sum = without + joined.value();
                    const std::uint64_t gain_base = fresh ? 0 : target.value();
                    if (sum > best + gain_base) {
                        best = sum - gain_base;
                        best_to = to;
                    }
                }
                if (best_to == from) continue;
                if (best_to == partition.size()) partition.emplace_back();
                partition[best_to].push_back(kind);
                partition[from] = std::move(rest);
                moved = true;
                if (partition[from].empty()) {
                    partition.erase(partition.begin() + static_cast<std::ptrdiff_t>(from));
                    --from;
                    break;
                }
                --at;
            }
        }
    }
}

}  // namespace

void Grouper::evaluate(Group& group) const {
    group.admissible = group.state.feasible;
    if (!group.admissible) return;
    const arch::FeatureSet set = model_->features(group.state);
    if (limits_.lose_at_most &&
        group.most_alone > (set & model_->valued()).size() + *limits_.lose_at_most) {
        group.admissible = false;
    }
    if (!group.keep.is_subset_of(set)) group.admissible = false;
    group.level_value = model_->value(set);
}

Group Grouper::of(const Kind& kind) const {
    Group group;
    group.state = kind.state;
    group.count = kind.count;
    group.most_alone = kind.alone.size();
    group.keep = model_->features(kind.state) & limits_.never_lose;
    evaluate(group);
    return group;
}

Group Grouper::with(Group group, const Kind& kind) const {
    model_->add(group.state, kind.state);
    group.count += kind.count;
    group.most_alone = std::max(group.most_alone, kind.alone.size());
    if (!limits_.never_lose.empty()) group.keep |= model_->features(kind.state) & limits_.never_lose;
    evaluate(group);
    return group;
}

Group Grouper::of(const std::vector<Kind>& kinds, const std::vector<std::size_t>& members) const {
    Group group = of(kinds[members.front()]);
    for (std::size_t i = 1; i < members.size(); ++i) group = with(std::move(group), kinds[members[i]]);
    return group;
}

std::uint64_t value_of(const Partition& partition, const std::vector<Kind>& kinds, const Grouper& grouper) {
    std::uint64_t sum = 0;
    for (const auto& members : partition) sum += grouper.of(kinds, members).value();
    return sum;
}

std::optional<Partition> quick_partition(const std::vector<Kind>& kinds, std::size_t wanted, const Grouper& grouper) {
    std::vector<std::size_t> order(kinds.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t kind) { return kinds[kind].count; });
    std::vector<Cluster> pools;
    for (std::size_t i = 0; i < std::min(order.size(), kMostMerged); ++i) {
        pools.push_back({{order[i]}, grouper.of(kinds[order[i]])});
    }
    if (!merge(pools, wanted, kinds, grouper)) return std::nullopt;
    for (std::size_t i = kMostMerged; i < order.size(); ++i) {
        Cluster single{{order[i]}, grouper.of(kinds[order[i]])};
        Cluster* best = nullptr;
        std::uint64_t least = ~std::uint64_t{0};
        Group best_group;
        for (Cluster& pool : pools) {
            Group merged;
            const auto price = cost(pool, single, kinds, grouper, merged);
            if (!price || *price >= least) continue;
            least = *price;
            best = &pool;
            best_group = std::move(merged);
        }
        if (best == nullptr && pools.size() >= wanted) return std::nullopt;
        if (best == nullptr) {
            pools.push_back(std::move(single));
        } else {
            best->members.push_back(order[i]);
            best->group = std::move(best_group);
        }
    }
    Partition partition;
    for (Cluster& pool : pools) partition.push_back(std::move(pool.members));
    if (kinds.size() <= kMostMerged) improve(partition, wanted, kinds, grouper);
    return partition;
}

}  // namespace cpulevel::fleet
