#include "fleet/what_if.h"

#include <algorithm>
#include <map>
#include <set>

#include "fleet/pool_model.h"

namespace cpulevel::fleet {
namespace {

using arch::FeatureId;
using arch::FeatureSet;

struct Parts {
    PoolModel model;
    std::vector<PoolState> states;  // by type
    FeatureSet level;               // of all
};

// Nothing where the nodes cannot share a level.
std::optional<Parts> parts_of(const Fleet& fleet, const level::MeetOptions& options, const FeatureValues& values) {
    if (fleet.types.empty()) return std::nullopt;
    Parts parts{PoolModel(fleet.types.front().profile.architecture, options, values), {}, {}};
    for (const NodeType& type : fleet.types) parts.states.push_back(parts.model.of(type.profile));
    PoolState all = parts.states.front();
    for (std::size_t i = 1; i < parts.states.size(); ++i) parts.model.add(all, parts.states[i]);
    if (!all.feasible) return std::nullopt;
    parts.level = parts.model.features(all);
    return parts;
}

bool better(const Removal& a, const Removal& b) {
    if (a.value != b.value) return a.value > b.value;
    if (a.gained.size() != b.gained.size()) return a.gained.size() > b.gained.size();
    return a.nodes < b.nodes;
}

}  // namespace

std::optional<std::vector<Removal>> rank_removals(const Fleet& fleet, const level::MeetOptions& options,
                                                  const FeatureValues& values) {
    const auto parts = parts_of(fleet, options, values);
    if (!parts) return std::nullopt;
    const std::size_t n = fleet.types.size();
    std::vector<Removal> removals;
    if (n < 2) return removals;
    // All but one: what is before it and what is after it.
    std::vector<PoolState> after(n, parts->states.back());
    for (std::size_t i = n - 1; i-- > 0;) {
        after[i] = parts->states[i];
        parts->model.add(after[i], after[i + 1]);
    }
    PoolState before;
    for (std::size_t i = 0; i < n; ++i) {
        PoolState others = i + 1 < n ? after[i + 1] : before;
        if (i > 0 && i + 1 < n) parts->model.add(others, before);
        const FeatureSet gained = parts->model.features(others) - parts->level;
        removals.push_back({{i}, fleet.types[i].count, gained, parts->model.value(gained)});
        if (i == 0) {
            before = parts->states[0];
        } else {
            parts->model.add(before, parts->states[i]);
        }
    }
    std::ranges::stable_sort(removals, better);
    return removals;
}

std::vector<FeatureSet> alone_costs(const Fleet& fleet, const level::MeetOptions& options) {
    std::vector<FeatureSet> costs(fleet.types.size());
    if (fleet.types.empty()) return costs;
    const auto values = default_values(arch::table(fleet.types.front().profile.architecture));
    for (const Removal& removal : rank_removals(fleet, options, values).value_or(std::vector<Removal>{})) {
        costs[removal.types.front()] = removal.gained;
    }
    return costs;
}

std::vector<FeatureSet> alone_costs(std::span<const profile::NodeProfile> nodes, const level::MeetOptions& options) {
    Fleet rows;
    for (const profile::NodeProfile& node : nodes) rows.types.push_back({node, 1, {node.name}});
    return alone_costs(rows, options);
}

std::optional<std::vector<Removal>> removal_steps(const Fleet& fleet, const level::MeetOptions& options,
                                                  const FeatureValues& values) {
    const auto parts = parts_of(fleet, options, values);
    if (!parts) return std::nullopt;
    const std::size_t n = fleet.types.size();
    const std::size_t all = fleet.node_count();
    std::vector<bool> out(n, false);
    Removal sofar;
    std::vector<Removal> steps;

    const auto without = [&](const std::set<std::size_t>& more) -> std::optional<FeatureSet> {
        std::optional<PoolState> rest;
        for (std::size_t i = 0; i < n; ++i) {
            if (out[i] || more.contains(i)) continue;
            if (!rest) {
                rest = parts->states[i];
            } else {
                parts->model.add(*rest, parts->states[i]);
            }
        }
        if (!rest) return std::nullopt;
        return parts->model.features(*rest);
    };
    for (;;) {
        // The types that lack a feature have to go together; each such set once.
        std::set<std::set<std::size_t>> candidates;
        FeatureSet offered;
        for (std::size_t i = 0; i < n; ++i) {
            if (!out[i]) offered |= parts->model.features(parts->states[i]);
        }
        (offered & parts->model.valued()).for_each([&](FeatureId id) {
            std::set<std::size_t> lacking;
            for (std::size_t i = 0; i < n; ++i) {
                if (!out[i] && !parts->model.features(parts->states[i]).contains(id)) lacking.insert(i);
            }
            if (!lacking.empty()) candidates.insert(std::move(lacking));
        });
        struct Step {
            Removal removal;
            double rate;
            const std::set<std::size_t>* types;
        };
        std::vector<Step> possible;
        for (const auto& candidate : candidates) {
            const auto features = without(candidate);
            if (!features) continue;
            Removal removal = sofar;
            std::size_t nodes = 0;
            for (const std::size_t type : candidate) {
                removal.types.push_back(type);
                nodes += fleet.types[type].count;
            }
            removal.nodes += nodes;
            removal.gained = *features - parts->level;
            removal.value = parts->model.value(removal.gained);
            if (removal.value <= sofar.value) continue;
            // What all that stay have together, for each node that goes: leaving out nearly everybody is no gain.
            const double gain = static_cast<double>(removal.value) * static_cast<double>(all - removal.nodes) -
                                static_cast<double>(sofar.value) * static_cast<double>(all - sofar.nodes);
            if (gain > 0) possible.push_back({std::move(removal), gain / static_cast<double>(nodes), &candidate});
        }
        const Step* best = nullptr;
        for (const Step& step : possible) {
            if (best == nullptr || step.rate > best->rate) best = &step;
        }
        // What lies on the way.
        for (bool nearer = best != nullptr; nearer;) {
            const Step* first = nullptr;
            for (const Step& step : possible) {
                const bool within =
                    step.types->size() < best->types->size() && std::ranges::includes(*best->types, *step.types);
                if (within && (first == nullptr || step.rate > first->rate)) first = &step;
            }
            nearer = first != nullptr;
            if (nearer) best = first;
        }
        if (best == nullptr) return steps;
        for (const std::size_t type : best->removal.types) out[type] = true;
        sofar = best->removal;
        std::ranges::sort(sofar.types);
        steps.push_back(sofar);
    }
}

}  // namespace cpulevel::fleet
