#include "cli/view_pools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "level/level_json.h"
#include "cli/view_types.h"
#include "util/name_ranges.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

using fleet::Fleet;
using fleet::Pool;
using fleet::Pools;
using fleet::Removal;

constexpr std::size_t kMostRanked = 10;

std::string percent(std::uint64_t part, std::uint64_t whole) {
    if (whole == 0) return "-";
    return fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string some_names(const arch::FeatureTable& table, const arch::FeatureSet& set, const View& view) {
    std::vector<std::string> names = feature_names(table, set);
    constexpr std::size_t kMost = 12;
    if (names.empty()) return "-";
    if (view.all || names.size() <= kMost) return join(names, " ");
    const std::size_t more = names.size() - kMost;
    names.resize(kMost);
    return join(names, " ") + fmt::format(" and {} more", more);
}

std::string brand_of(const fleet::NodeType& type) {
    std::string brand(trim(type.profile.identity.brand));
    if (brand.empty()) brand = type.profile.identity.vendor;
    return safe(brand);
}

std::string exactness(const Pools& pools) {
    if (pools.exact) return "no other partition keeps more";
    if (pools.bound == pools.value) return "no other partition keeps more, but fewer pools may do";
    return fmt::format("within {} of the most that any partition could keep",
                       percent(pools.bound - pools.value, pools.bound));
}

std::string level_of(const Pool& pool) {
    const arch::FeatureTable& table = arch::table(pool.meet.level.architecture);
    const level::Level& level = pool.meet.level;
    return fmt::format("{}, {}", reached_text(table, level.features, table.all() - level.undetermined),
                       plural(user_features(table, level.features).size(), "feature"));
}

std::string pool_text(const Pool& pool, std::size_t number, const Fleet& fleet, const View& view) {
    const arch::FeatureTable& table = arch::table(pool.meet.level.architecture);
    std::string text = heading(view, fmt::format("Pool {}: {} of {}; {}", number, nodes_count(pool.nodes),
                                                 plural(pool.members.size(), "type"), level_of(pool)));
    Table rows({"nodes", "first", "CPU", "loses"});
    rows.align(0, Align::right);
    for (const fleet::PoolMember& member : pool.members) {
        const fleet::NodeType& type = fleet.types[member.type];
        rows.add_row({with_commas(type.count), safe(type.profile.name), brand_of(type),
                      some_names(table, member.lost, view)});
    }
    text += rows.text(view.style, view.width);
    if (view.all) text += features_by_group(table, pool.meet.level.features, view);
    return text;
}

std::string labels(const Removal& removal, const Fleet& fleet) {
    std::vector<std::string> names;
    for (const std::size_t type : removal.types) names.push_back(safe(fleet.types[type].label()));
    constexpr std::size_t kMost = 4;
    if (names.size() <= kMost) return join(names, ", ");
    const std::size_t more = names.size() - kMost;
    names.resize(kMost);
    return join(names, ", ") + fmt::format(" and {}", plural(more, "more type"));
}

std::vector<std::string> strings(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    return feature_names(table, set);
}

}  // namespace

std::string pools_text(const Pools& pools, const Fleet& fleet, const View& view) {
    std::string text = heading(view, fmt::format("{} of {} in {}", nodes_count(fleet.node_count()),
                                                 plural(fleet.types.size(), "type"), plural(pools.pools.size(), "pool")));
    const std::string kept = fmt::format("kept {} of what every node would have alone; {}",
                                         percent(pools.value, pools.separate), exactness(pools));
    text += "  " + wrap(kept, view.width, 2) + "\n";
    text += pools.together ? fmt::format("  one level for all would keep {}\n", percent(*pools.together, pools.separate))
                           : "  one level for all is not possible\n";
    std::size_t number = 0;
    for (const Pool& pool : pools.pools) text += "\n" + pool_text(pool, ++number, fleet, view);
    return text;
}

std::string choices_text(const std::vector<Pools>& choices, const View& view) {
    std::string text = heading(view, "What each number of pools keeps");
    Table rows({"pools", "kept", "", "levels (nodes)"});
    rows.align(0, Align::right).align(1, Align::right);
    for (const Pools& pools : choices) {
        std::vector<std::string> levels;
        for (const Pool& pool : pools.pools) {
            const arch::FeatureTable& table = arch::table(pool.meet.level.architecture);
            levels.push_back(fmt::format("{} ({})", best_named_level(table, pool.meet.level.features).value_or("-"),
                                         with_commas(pool.nodes)));
        }
        rows.add_row({fmt::format("{}", pools.pools.size()), percent(pools.value, pools.separate),
                      pools.exact ? "exact" : "at most " + percent(pools.bound, pools.separate), join(levels, ", ")});
    }
    return text + rows.text(view.style, view.width);
}

std::string removals_text(const std::vector<Removal>& ranked, const std::vector<Removal>& steps, const Fleet& fleet,
                          const View& view) {
    const arch::FeatureTable& table = arch::table(fleet.types.front().profile.architecture);
    std::string text = heading(view, "What holds the one level down: what leaving a type out would give the others");
    Table rows({"without", "nodes", "gained", "features"});
    rows.align(1, Align::right).align(2, Align::right);
    for (const Removal& removal : ranked) {
        if (removal.value == 0 || (!view.all && &removal - ranked.data() >= static_cast<std::ptrdiff_t>(kMostRanked))) break;
        const auto gained = user_features(table, removal.gained);
        rows.add_row({safe(fleet.types[removal.types.front()].label()), with_commas(removal.nodes),
                      fmt::format("{}", gained.size()), some_names(table, gained, view)});
    }
    text += rows.empty() ? "  no type alone: what is lost is lacked by several\n" : rows.text(view.style, view.width);
    if (steps.empty()) return text;
    Table further({"without", "nodes left", "gained", "features"});
    further.align(1, Align::right).align(2, Align::right);
    const std::size_t all = fleet.node_count();
    for (const Removal& step : steps) {
        if (!view.all && &step - steps.data() >= static_cast<std::ptrdiff_t>(kMostRanked)) break;
        const auto gained = user_features(table, step.gained);
        further.add_row({labels(step, fleet), with_commas(all - step.nodes), fmt::format("{}", gained.size()),
                         some_names(table, gained, view)});
    }
    return text + "\n" + heading(view, "Step by step: what those that stay gain, for the fewest that go") +
           further.text(view.style, view.width);
}

nlohmann::json pools_json(const Pools& pools, const Fleet& fleet) {
    nlohmann::json list = nlohmann::json::array();
    for (const Pool& pool : pools.pools) {
        const arch::FeatureTable& table = arch::table(pool.meet.level.architecture);
        nlohmann::json members = nlohmann::json::array();
        for (const fleet::PoolMember& member : pool.members) {
            const fleet::NodeType& type = fleet.types[member.type];
            members.push_back({{"count", type.count},
                               {"nodes", to_ranges(type.nodes)},
                               {"brand", trim(type.profile.identity.brand)},
                               {"lost", strings(table, member.lost)}});
        }
        list.push_back({{"nodes", pool.nodes},
                        {"value", pool.value},
                        {"types", std::move(members)},
                        {"level", nlohmann::json::parse(level::to_json(pool.meet.level))}});
    }
    return {{"pools", std::move(list)},
            {"value", pools.value},
            {"bound", pools.bound},
            {"exact", pools.exact},
            {"separate", pools.separate},
            {"together", pools.together ? nlohmann::json(*pools.together) : nlohmann::json(nullptr)},
            {"kinds", pools.kinds}};
}

nlohmann::json removals_json(const std::vector<Removal>& removals, const Fleet& fleet) {
    nlohmann::json list = nlohmann::json::array();
    for (const Removal& removal : removals) {
        const arch::FeatureTable& table = arch::table(fleet.types.front().profile.architecture);
        nlohmann::json types = nlohmann::json::array();
        for (const std::size_t type : removal.types) {
            types.push_back({{"count", fleet.types[type].count},
                             {"nodes", to_ranges(fleet.types[type].nodes)},
                             {"brand", trim(fleet.types[type].profile.identity.brand)}});
        }
        list.push_back({{"without", std::move(types)},
                        {"nodes", removal.nodes},
                        {"gained", strings(table, removal.gained)},
                        {"value", removal.value}});
    }
    return list;
}

}  // namespace cpulevel::cli
