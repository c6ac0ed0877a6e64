#include "report/collect.h"

#include <algorithm>
#include <map>

#include "fleet/what_if.h"
#include "util/text.h"

namespace cpulevel::report {

namespace {

std::string cpu_of(const profile::NodeProfile& node) {
    std::string brand(trim(node.identity.brand));
    return brand.empty() ? node.identity.vendor : brand;
}

bool alike(const profile::NodeProfile& a, const profile::NodeProfile& b) {
    return a.architecture == b.architecture && a.features == b.features && a.known == b.known &&
           cpu_of(a) == cpu_of(b) && a.xsave == b.xsave && a.registers == b.registers && a.page_size == b.page_size;
}

NodeType type_of(const fleet::NodeType& type) {
    return {.cpu = cpu_of(type.profile),
            .count = type.count,
            .nodes = type.nodes,
            .features = type.profile.features,
            .known = type.profile.known};
}

// Losses name nodes; here they are types.
void mark_switched_off(const level::Meet& meet, const fleet::Fleet& fleet, Report& report) {
    std::map<std::string, std::size_t> by_name;
    for (std::size_t i = 0; i < fleet.types.size(); ++i) {
        by_name.emplace(fleet.types[i].label(), i);
        for (const std::string& node : fleet.types[i].nodes) by_name.emplace(node, i);
    }
    for (const level::Loss& loss : meet.losses) {
        for (const std::string& name : loss.switched_off) {
            // A label of the fleet before it was merged begins with a node's name: "node7 (+8)".
            auto type = by_name.find(name);
            if (type == by_name.end()) type = by_name.find(name.substr(0, name.rfind(" (+")));
            if (type != by_name.end()) report.types[type->second].switched_off.insert(loss.feature);
        }
    }
}

Split split_of(const fleet::Pools& pools) {
    Split split{.exact = pools.exact};
    for (const fleet::Pool& pool : pools.pools) {
        Pool one{.features = pool.meet.level.features};
        for (const fleet::PoolMember& member : pool.members) one.types.push_back(member.type);
        split.pools.push_back(std::move(one));
    }
    return split;
}

}  // namespace

fleet::Fleet merge_alike(const fleet::Fleet& fleet) {
    fleet::Fleet merged;
    for (const fleet::NodeType& type : fleet.types) {
        const auto same = std::ranges::find_if(
            merged.types, [&](const fleet::NodeType& other) { return alike(other.profile, type.profile); });
        if (same == merged.types.end()) {
            merged.types.push_back(type);
        } else {
            same->count += type.count;
            same->nodes.insert(same->nodes.end(), type.nodes.begin(), type.nodes.end());
        }
    }
    return merged;
}

Report collect(const level::Meet& meet, const fleet::Fleet& fleet, const level::MeetOptions& options,
               std::span<const fleet::Pools> splits) {
    Report report{
        .level = meet.level, .losses = meet.losses, .xsave_area = meet.xsave_area, .signal_stack = meet.signal_stack};
    for (const fleet::NodeType& type : fleet.types) report.types.push_back(type_of(type));
    mark_switched_off(meet, fleet, report);

    const auto values = fleet::default_values(arch::table(meet.level.architecture));
    const auto alone = fleet::alone_costs(fleet, options);
    for (std::size_t type = 0; type < alone.size(); ++type) report.types[type].gained_without = alone[type];
    for (const fleet::Removal& removal :
         fleet::removal_steps(fleet, options, values).value_or(std::vector<fleet::Removal>{})) {
        report.steps.push_back({.types = removal.types, .gained = removal.gained});
    }
    for (const fleet::Pools& pools : splits) report.splits.push_back(split_of(pools));
    return report;
}

}  // namespace cpulevel::report
