#include "fleet/pools.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "fleet/pool_search.h"
#include "level/feature_text.h"

namespace cpulevel::fleet {
namespace {

using arch::FeatureSet;

std::unexpected<Error> refuse(std::string why, std::string hint) {
    return std::unexpected(
        Error{ErrorKind::refused, "the fleet cannot be cut into such pools", {}, 0, std::move(why), std::move(hint)});
}

std::vector<Kind> kinds_of(const Fleet& fleet, const PoolModel& model) {
    std::vector<Kind> kinds;
    std::vector<PoolState> keys;
    for (std::size_t type = 0; type < fleet.types.size(); ++type) {
        PoolState state = model.of(fleet.types[type].profile);
        // Features that decide nothing do not make a kind of its own.
        PoolState key = state;
        key.common &= model.deciding();
        const auto at = std::ranges::find(keys, key);
        if (at != keys.end()) {
            Kind& kind = kinds[static_cast<std::size_t>(at - keys.begin())];
            model.add(kind.state, state);
            kind.count += fleet.types[type].count;
            kind.types.push_back(type);
            continue;
        }
        keys.push_back(std::move(key));
        const FeatureSet alone = model.features(state) & model.valued();
        kinds.push_back({std::move(state), alone, model.value(alone), fleet.types[type].count, {type}});
    }
    return kinds;
}

// More kinds than the search can take: the heaviest exactly, and no other one has more than it has alone.
std::uint64_t bound_by_heaviest(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper,
                                std::size_t budget) {
    std::vector<Kind> heaviest = kinds;
    std::ranges::stable_sort(heaviest, std::greater{}, [](const Kind& k) { return k.count * k.alone_value; });
    std::uint64_t rest = 0;
    for (std::size_t i = kMostSearched; i < heaviest.size(); ++i) rest += heaviest[i].count * heaviest[i].alone_value;
    heaviest.resize(kMostSearched);
    return branch_and_bound(heaviest, pools, grouper, budget).bound + rest;
}

Found search(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper, std::size_t budget) {
    if (kinds.size() > kMostSearched) {
        Found found;
        found.partition = quick_partition(kinds, pools, grouper);
        found.exact = false;
        if (found.partition) found.value = value_of(*found.partition, kinds, grouper);
        found.bound = std::max(found.value, bound_by_heaviest(kinds, pools, grouper, budget));
        found.exact = found.partition && found.value == found.bound;
        return found;
    }
    Found found = branch_and_bound(kinds, pools, grouper, budget);
    if (!found.exact && kinds.size() <= kMostBySubsets) return by_subsets(kinds, pools, grouper);
    return found;
}

// The fewest pools with an admissible partition; the search is exact if no smaller number was given up on.
Found search_fewest(const std::vector<Kind>& kinds, const Grouper& grouper, std::size_t budget) {
    bool sure = true;
    for (std::size_t pools = 1; pools <= kinds.size(); ++pools) {
        Found found = search(kinds, pools, grouper, budget);
        if (found.partition) {
            found.exact = found.exact && sure;
            return found;
        }
        sure = sure && found.exact;
    }
    return {};
}

Result<Found> find(const std::vector<Kind>& kinds, const PoolOptions& options, const Grouper& grouper) {
    if (!options.pools) {
        Found found = search_fewest(kinds, grouper, options.budget);
        if (!found.partition) {
            return refuse("a node's own level does not show what it must not lose", "see cpulevel pools --help");
        }
        return found;
    }
    Found found = search(kinds, *options.pools, grouper, options.budget);
    if (found.partition) return found;
    if (!found.exact) return refuse(fmt::format("no partition into {} pools was found in the time allowed", *options.pools), "allow more pools");
    const Found fewest = search_fewest(kinds, grouper, options.budget);
    const std::size_t needed = fewest.partition ? fewest.partition->size() : kinds.size();
    return refuse(fmt::format("{} pools are not enough; {}{}", *options.pools, needed, fewest.exact ? " are needed" : " are"),
                  "nodes differ in what nothing can hide, or would lose more than allowed: allow more pools");
}

Result<Pool> pool_of(const std::vector<std::size_t>& members, const std::vector<Kind>& kinds, const Fleet& fleet,
                     const PoolModel& model, const level::MeetOptions& options) {
    Pool pool;
    std::vector<std::size_t> types;
    for (const std::size_t kind : members) std::ranges::copy(kinds[kind].types, std::back_inserter(types));
    std::ranges::stable_sort(types, [&](std::size_t a, std::size_t b) {
        return fleet.types[a].count != fleet.types[b].count ? fleet.types[a].count > fleet.types[b].count : a < b;
    });
    std::vector<profile::NodeProfile> nodes;
    for (const std::size_t type : types) {
        nodes.push_back(fleet.types[type].profile);
        nodes.back().name = fleet.types[type].label();
        pool.nodes += fleet.types[type].count;
    }
    level::MeetOptions how = options;
    how.chosen = 0;
    auto met = level::meet(nodes, how);
    if (!met) return std::unexpected(met.error());
    pool.meet = *std::move(met);
    pool.value = model.value(pool.meet.level.features);
    for (const std::size_t type : types) {
        const FeatureSet alone = model.features(model.of(fleet.types[type].profile)) & model.valued();
        pool.members.push_back({type, alone - pool.meet.level.features});
    }
    return pool;
}

}  // namespace

Result<Pools> make_pools(const Fleet& fleet, const PoolOptions& options) {
    if (fleet.types.empty()) return usage_error("no nodes are given");
    if (options.pools && *options.pools == 0) return usage_error("no pools", {}, {}, "there must be at least one");
    const arch::Architecture architecture = fleet.types.front().profile.architecture;
    for (const NodeType& type : fleet.types) {
        if (type.profile.architecture == architecture) continue;
        return refuse(fmt::format("{} is {}, {} is {}", fleet.types.front().profile.name, arch::name(architecture),
                                  type.profile.name, arch::name(type.profile.architecture)),
                      "make pools for each architecture");
    }
    const PoolModel model(architecture, options.meet, options.values);
    const std::vector<Kind> kinds = kinds_of(fleet, model);
    const Grouper grouper(model, {options.lose_at_most, options.never_lose});

    const auto found = find(kinds, options, grouper);
    if (!found) return std::unexpected(found.error());
    Pools result;
    for (const auto& members : *found->partition) {
        auto pool = pool_of(members, kinds, fleet, model, options.meet);
        if (!pool) return std::unexpected(pool.error());
        result.value += pool->nodes * pool->value;
        result.pools.push_back(*std::move(pool));
    }
    std::ranges::stable_sort(result.pools, std::greater{}, &Pool::nodes);
    result.bound = std::max(found->bound, result.value);
    result.exact = found->exact;
    result.kinds = kinds.size();
    for (const Kind& kind : kinds) result.separate += kind.count * kind.alone_value;
    std::vector<std::size_t> all(kinds.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    const Group together = Grouper(model, {}).of(kinds, all);
    if (together.admissible) result.together = together.value();
    return result;
}

}  // namespace cpulevel::fleet
