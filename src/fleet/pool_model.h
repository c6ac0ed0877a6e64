// The features of a pool's level, for a search that asks millions of times. level::meet tells everything about a level
// and takes a millisecond; this tells which features it has in a fraction of a microsecond, because all that does not
// depend on the company of a node is worked out once. Tests hold it to level::meet on random pools of random machines.
//
//   - Closure: a feature survives if it and all that it needs are on every node, so closing each node's set first and
//     taking the intersection gives the closed set.
//   - XSAVE: a component counts as unusable where a node does not tell its place or two nodes differ, XSAVEC where a
//     node does not tell its compacted size or sizes differ (level/meet_features.cpp); both add up node by node.
//   - What nothing can hide (registers, HINT space, architecture): such nodes cannot be in one pool.
// Internal to this room.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "fleet/pools.h"
#include "level/meet.h"
#include "profile/node_profile.h"

namespace cpulevel::fleet {

// What is known of some nodes together: enough to add more nodes and to tell the features of their level.
struct PoolState {
    bool feasible = true;       // they can share a level
    arch::Architecture architecture = arch::Architecture::x86_64;
    arch::FeatureSet common;    // on all of them, closed, without NEVER
    arch::FeatureSet having;    // features in HINT space that some node has,
    arch::FeatureSet lacking;   // and that some node is known to lack
    std::uint64_t unusable = 0; // XSAVE components without an agreed place
    bool no_compaction = false; // XSAVEC cannot be shown
    std::array<std::uint32_t, 64> place{};       // of XSAVE components; 0: not told
    std::array<std::uint64_t, 64> compacted{};   // size and alignment of components; 0: not told
    std::map<std::string, std::uint64_t> registers;  // EQUAL ones, in the bits that count
    friend bool operator==(const PoolState&, const PoolState&) = default;
};

class PoolModel {
   public:
    // `options`: allow, keep_cpuid, accept_unmaskable. All nodes that are asked about are of `architecture`, or cannot
    // be in a pool with those that are.
    PoolModel(arch::Architecture architecture, const level::MeetOptions& options, FeatureValues values);

    [[nodiscard]] PoolState of(const profile::NodeProfile& node) const;
    void add(PoolState& pool, const PoolState& more) const;
    [[nodiscard]] arch::FeatureSet features(const PoolState& pool) const;  // of the level, where feasible

    [[nodiscard]] std::uint64_t value(const arch::FeatureSet& set) const;
    [[nodiscard]] const arch::FeatureSet& valued() const { return valued_; }
    // Features that can decide about the value: two nodes that differ in others only are the same to a search.
    [[nodiscard]] arch::FeatureSet deciding() const { return valued_ | xsave_features_; }
    [[nodiscard]] const arch::FeatureTable& table() const { return *table_; }

   private:
    void settle_xsave(arch::FeatureSet& set, const PoolState& pool) const;

    const arch::FeatureTable* table_;
    bool accept_unmaskable_;
    arch::FeatureSet never_;
    arch::FeatureSet hint_space_;
    arch::FeatureSet valued_;
    std::vector<std::pair<std::uint64_t, arch::FeatureSet>> by_value_;  // features by what they are worth
    // Features with all that need them.
    arch::FeatureSet osxsave_, xsavec_, leaf_d_;
    std::array<arch::FeatureSet, 64> users_;  // by component
    std::uint64_t used_components_ = 0;       // beyond SSE, that any feature uses
    // Without dependents.
    std::optional<arch::FeatureId> osxsave_id_;
    arch::FeatureSet component_users_, xsave_features_;
};

}  // namespace cpulevel::fleet
