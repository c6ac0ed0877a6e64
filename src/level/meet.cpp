#include "level/meet.h"

#include <fmt/format.h>

#include <algorithm>

#include "level/feature_text.h"
#include "level/meet_parts.h"
#include "level/named.h"
#include "level/xsave_area.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using profile::NodeProfile;

std::unexpected<Error> refuse(std::string on, std::string why, std::string hint) {
    return std::unexpected(
        Error{ErrorKind::refused, "the nodes cannot share a level", std::move(on), 0, std::move(why), std::move(hint)});
}

Result<void> check_nodes(Nodes nodes, const MeetOptions& options) {
    if (nodes.empty()) return usage_error("no node profiles are given", {}, {}, "give at least one: cpulevel scan makes it");
    if (options.chosen >= nodes.size()) return usage_error("the chosen node is not among the nodes");
    for (const NodeProfile& node : nodes.subspan(1)) {
        if (node.architecture == nodes.front().architecture) continue;
        return refuse({}, fmt::format("{} is {}, {} is {}", nodes.front().name, name(nodes.front().architecture),
                                      node.name, name(node.architecture)),
                      "a program moves only between machines of one architecture; make a level for each");
    }
    return {};
}

// The union of what the systems enable; absent if one of the descriptions does not tell.
std::optional<std::uint64_t> union_of_components(const arch::FeatureTable& table, Nodes nodes) {
    std::uint64_t components = 0;
    for (const NodeProfile& node : nodes) {
        if (!area_of(table, node).in_use) continue;
        if (!node.xsave || !node.xsave->xcr0_enabled) return std::nullopt;
        components |= node.xsave->xcr0;
    }
    return components;
}

void add_origin_warnings(const arch::FeatureTable& table, Nodes nodes, const FeatureMeet& met, Level& level) {
    if (!met.undetermined.empty()) {
        level.warnings.push_back(fmt::format("hidden because a node's description does not tell: {}",
                                             name_some(table, met.undetermined)));
    }
    for (const NodeProfile& node : nodes) {
        if (level.architecture == arch::Architecture::x86_64 && node.cpus.empty()) {
            level.warnings.push_back(fmt::format("{}: its description ({}) has no CPUID dump; numbers in CPUID are taken "
                                                 "from the other nodes",
                                                 node.name, node.origin));
        }
    }
}

// Most often a matter of descriptions that tell too little; a user finds out when nothing starts.
void warn_below_lowest(const arch::FeatureTable& table, Level& level) {
    const arch::NamedLevel* lowest = lowest_standard_level(table);
    if (lowest == nullptr) return;
    arch::FeatureSet missing;
    for (const arch::FeatureId id : lowest->features) {
        if (!level.features.contains(id)) missing.insert(id);
    }
    if (missing.empty()) return;
    level.warnings.push_back(fmt::format("below {}, the lowest named level: no 64-bit program of a Linux distribution starts "
                                         "under it; hidden are {}",
                                         lowest->name, name_some(table, missing)));
}

}  // namespace

std::string_view name(LossReason reason) {
    switch (reason) {
        case LossReason::absent: return "absent";
        case LossReason::unknown: return "unknown";
        case LossReason::closure: return "closure";
        case LossReason::never: return "never";
        case LossReason::layout: return "layout";
        case LossReason::consistency: return "consistency";
    }
    return "absent";
}

Result<Meet> meet(Nodes nodes, const MeetOptions& options) {
    if (auto checked = check_nodes(nodes, options); !checked) return std::unexpected(checked.error());
    const NodeProfile& chosen = nodes[options.chosen];
    const arch::FeatureTable& table = arch::table(chosen.architecture);

    Meet result;
    Level& level = result.level;
    level.architecture = chosen.architecture;
    // A CPU of no vendor is one that glibc starts nothing on.
    const bool nameless = level.architecture == arch::Architecture::x86_64 && chosen.identity.vendor.empty();
    if (!nameless) level.identity = chosen.identity;
    if (nameless && chosen.origin != "level") {
        level.warnings.push_back(chosen.name + ": its description has no vendor; programs see that of the machine they are on");
    }
    std::vector<std::string> node_names;
    for (const NodeProfile& node : nodes) {
        level.nodes.push_back({node.name, node.origin, node.identity.brand});
        node_names.push_back(node.name);
    }
    level.name = options.name.empty() ? "meet of " + name_some(node_names, 6) : options.name;

    const std::vector<std::string> unmaskable = unmaskable_differences(table, nodes);
    if (!unmaskable.empty()) {
        if (!options.accept_unmaskable) {
            return refuse(name_some(unmaskable, 4), "programs execute these instructions without asking, so nothing can "
                                                    "hide them",
                          "keep these nodes in separate levels (--accept-unmaskable takes the risk)");
        }
        level.warnings.push_back("cannot be hidden and differs: " + name_some(unmaskable, 4));
    }
    auto registers = meet_registers(nodes, options, level.warnings);
    if (!registers) return std::unexpected(registers.error());
    level.registers = std::move(*registers);

    FeatureMeet met = meet_features(table, nodes, options, level.warnings);
    level.features = met.features;
    level.undetermined = met.undetermined;
    result.losses = std::move(met.losses);
    warn_below_lowest(table, level);
    add_origin_warnings(table, nodes, met, level);

    level.hwcap = meet_hwcap(table, nodes, level.features);
    level.platform = meet_platform(nodes, options.chosen, level.warnings);
    result.signal_stack = meet_signal_stack(level.architecture, nodes, level.warnings);
    if (result.signal_stack) {
        level.minimum_signal_stack = result.signal_stack->bytes;
        level.minimum_signal_stack_node = result.signal_stack->node;
    }
    if (level.architecture != arch::Architecture::x86_64) return result;

    result.xsave_area = largest_area(table, nodes, level.warnings);
    level.enabled_components = union_of_components(table, nodes);
    if (result.xsave_area && contains(table, level.features, "osxsave")) {
        fill_xsave(table, nodes, *result.xsave_area, level);
    }
    std::vector<const arch::CpuidDump*> dumps;
    for (const NodeProfile& node : nodes) {
        for (const profile::CpuGroup& group : node.cpus) dumps.push_back(&group.cpuid);
    }
    const arch::CpuidDump* named = chosen.cpus.empty() ? nullptr : &chosen.cpus.front().cpuid;
    level.cpuid = meet_cpuid(table, level, dumps, named, level.warnings);
    return result;
}

NodeProfile as_node(const Level& level) {
    NodeProfile node;
    node.name = level.name;
    node.architecture = level.architecture;
    node.origin = "level";
    node.identity = level.identity.value_or(profile::Identity{});
    node.hwcap = level.hwcap;
    node.minimum_signal_stack = level.minimum_signal_stack;
    node.platform = level.platform;
    node.registers = level.registers;
    if (!level.cpuid.empty()) node.cpus.push_back({"", level.cpuid});
    if (level.xsave) {
        profile::XsaveLayout layout;
        layout.xcr0 = level.enabled_components.value_or(level.xsave->visible) | level.xsave->visible;
        layout.xcr0_enabled = true;
        layout.standard_size = layout.maximum_size = level.xsave->standard_size;
        layout.compacted_size = level.xsave->compacted_size;
        layout.components = level.xsave->components;
        // Hidden components keep their sizes; without an agreed place (offset 0) they can become visible to nobody.
        layout.components.insert(level.xsave->reserved.begin(), level.xsave->reserved.end());
        for (const auto& [number, component] : level.xsave->reserved) layout.xcr0 |= std::uint64_t{1} << number;
        node.xsave = std::move(layout);
    }
    node.features = level.features;
    node.known = arch::table(level.architecture).all() - level.undetermined;
    return node;
}

}  // namespace cpulevel::level
