#include "fleet/pool_model.h"

#include <algorithm>
#include <bit>

#include "level/meet_parts.h"
#include "level/xsave_area.h"

namespace cpulevel::fleet {
namespace {

using arch::FeatureId;
using arch::FeatureSet;
using arch::FeatureTable;

FeatureSet with_dependents(const FeatureTable& table, const FeatureSet& set) {
    FeatureSet result = set;
    set.for_each([&](FeatureId id) { result |= table.dependents(id); });
    return result;
}

FeatureSet one(const FeatureTable& table, std::string_view name) {
    FeatureSet set;
    if (const auto id = table.find(name)) set.insert(*id);
    return set;
}

template <class Predicate>
FeatureSet features_where(const FeatureTable& table, Predicate&& predicate) {
    FeatureSet set;
    for (std::size_t i = 0; i < table.features().size(); ++i) {
        const FeatureId id{static_cast<std::uint16_t>(i)};
        if (predicate(table[id])) set.insert(id);
    }
    return set;
}

void describe_xsave(const FeatureTable& table, const profile::NodeProfile& node, PoolState& state) {
    const level::NodeArea area = level::area_of(table, node);
    state.no_compaction = area.compacted == 0;
    state.unusable = ~level::kLegacyComponents;
    const auto usable = [&](unsigned number, std::uint32_t place) {
        state.place.at(number) = place;
        state.unusable &= ~(std::uint64_t{1} << number);
    };
    if (area.layout == nullptr || !area.layout->components.contains(level::kAvxComponent)) {
        usable(level::kAvxComponent, level::kFirstComponentOffset);
    }
    if (area.layout == nullptr) return;
    for (const auto& [number, component] : area.layout->components) {
        if (number >= state.place.size()) continue;
        if (component.offset != 0) usable(number, component.offset);
        if (component.supervisor) continue;
        state.compacted.at(number) = std::uint64_t{component.size} << 2U | (component.aligned ? 2U : 0U) | 1U;
    }
}

}  // namespace

FeatureValues default_values(const FeatureTable& table) {
    FeatureValues values;
    for (const arch::Feature& feature : table.features()) values.push_back(feature.user ? 1 : 0);
    return values;
}

PoolModel::PoolModel(arch::Architecture architecture, const level::MeetOptions& options, FeatureValues values)
    : table_(&arch::table(architecture)), accept_unmaskable_(options.accept_unmaskable) {
    const FeatureTable& table = *table_;
    if (values.empty()) values = default_values(table);
    never_ = features_where(table, [](const arch::Feature& f) { return f.rule == arch::Rule::Never; }) - options.allow;
    if (options.keep_cpuid) never_ -= one(table, "cpuid");
    hint_space_ = features_where(table, [](const arch::Feature& f) { return f.hint_space; });
    std::map<std::uint64_t, FeatureSet> by_value;
    for (std::size_t i = 0; i < values.size() && i < table.features().size(); ++i) {
        if (values[i] == 0) continue;
        by_value[values[i]].insert(FeatureId{static_cast<std::uint16_t>(i)});
        valued_.insert(FeatureId{static_cast<std::uint16_t>(i)});
    }
    by_value_.assign(by_value.begin(), by_value.end());

    if (architecture != arch::Architecture::x86_64) return;
    osxsave_ = with_dependents(table, one(table, "osxsave"));
    xsavec_ = with_dependents(table, one(table, "xsavec"));
    leaf_d_ = with_dependents(table, table.in_leaf(0xD, 0) | table.in_leaf(0xD, 1));
    component_users_ =
        features_where(table, [](const arch::Feature& f) { return (f.xcr0 & ~level::kLegacyComponents) != 0; });
    for (unsigned number = level::kAvxComponent; number < users_.size(); ++number) {
        const FeatureSet users =
            features_where(table, [&](const arch::Feature& f) { return (f.xcr0 >> number & 1U) != 0; });
        if (users.empty()) continue;
        used_components_ |= std::uint64_t{1} << number;
        users_.at(number) = with_dependents(table, users);
    }
    osxsave_id_ = table.find("osxsave");
    xsave_features_ = one(table, "osxsave") | one(table, "xsavec") | table.in_leaf(0xD, 0) | table.in_leaf(0xD, 1) |
                      component_users_;
}

PoolState PoolModel::of(const profile::NodeProfile& node) const {
    PoolState state;
    state.architecture = node.architecture;
    if (node.architecture != table_->architecture()) return state;  // fits into no pool of this model
    state.common = table_->closed_subset(node.features - never_);
    state.having = node.features & hint_space_;
    state.lacking = (node.known - node.features) & hint_space_;
    for (const auto& [name, value] : node.registers) {
        if (!level::is_minimum_register(name)) state.registers[name] = value & level::register_mask(name);
    }
    if (node.page_size) state.registers["page_size"] = *node.page_size;
    if (node.architecture == arch::Architecture::x86_64) describe_xsave(*table_, node, state);
    return state;
}

void PoolModel::add(PoolState& pool, const PoolState& more) const {
    pool.feasible = pool.feasible && more.feasible && pool.architecture == more.architecture;
    pool.common &= more.common;
    pool.having |= more.having;
    pool.lacking |= more.lacking;
    if (!accept_unmaskable_ && !(pool.having & pool.lacking).empty()) pool.feasible = false;
    for (const auto& [name, value] : more.registers) {
        const auto [at, fresh] = pool.registers.try_emplace(name, value);
        if (fresh || at->second == value) continue;
        if (!accept_unmaskable_ || name == "page_size") pool.feasible = false;
    }
    if (table_->architecture() != arch::Architecture::x86_64) return;
    pool.unusable |= more.unusable;
    pool.no_compaction = pool.no_compaction || more.no_compaction;
    for (std::size_t number = 0; number < pool.place.size(); ++number) {
        const std::uint32_t place = more.place[number];
        if (place != 0) {
            if (pool.place[number] == 0) pool.place[number] = place;
            if (pool.place[number] != place) pool.unusable |= std::uint64_t{1} << number;
        }
        const std::uint64_t compacted = more.compacted[number];
        if (compacted == 0) continue;
        if (pool.compacted[number] == 0) pool.compacted[number] = compacted;
        if (pool.compacted[number] != compacted) pool.no_compaction = true;
    }
}

void PoolModel::settle_xsave(FeatureSet& set, const PoolState& pool) const {
    const auto remove_users = [&](std::uint64_t components) {
        for (std::uint64_t left = components & used_components_; left != 0; left &= left - 1) {
            set -= users_[static_cast<std::size_t>(std::countr_zero(left))];
        }
    };
    remove_users(pool.unusable);
    if (pool.no_compaction) set -= xsavec_;
    const bool osxsave = osxsave_id_ && set.contains(*osxsave_id_);
    if (osxsave && !(set & component_users_).empty()) return;
    // A level without users of XSAVE shows neither OSXSAVE nor leaf 0xD, and one without OSXSAVE has no users.
    set -= osxsave_;
    set -= leaf_d_;
    remove_users(~std::uint64_t{0});
}

FeatureSet PoolModel::features(const PoolState& pool) const {
    FeatureSet set = pool.common;
    if (table_->architecture() == arch::Architecture::x86_64) settle_xsave(set, pool);
    return set;
}

std::uint64_t PoolModel::value(const FeatureSet& set) const {
    std::uint64_t sum = 0;
    for (const auto& [value, features] : by_value_) sum += value * (set & features).size();
    return sum;
}

}  // namespace cpulevel::fleet
