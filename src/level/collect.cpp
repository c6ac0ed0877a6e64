#include "level/collect.h"

#include <algorithm>

#include "level/feature_text.h"
#include "level/meet_parts.h"
#include "level/xsave_area.h"

namespace cpulevel::level {
namespace {

using profile::NodeProfile;

std::string way_to(const NodeProfile& node) {
    if (node.origin == "level") return "it is a level, which tells no more: give the machines behind it instead";
    if (node.origin == "NFD labels") {
        return "their NodeFeature objects tell more (kubectl get nodefeatures -A -o json); cpulevel scan on the nodes tells all";
    }
    if (node.architecture == arch::Architecture::x86_64 && node.cpus.empty()) {
        return "run cpulevel scan there; cpuid -r tells all but the signal stack";
    }
    return "run cpulevel scan there";
}

}  // namespace

std::vector<ToCollect> what_to_collect(const arch::FeatureTable& table, std::span<const NodeProfile> nodes,
                                       const Level& level) {
    const bool x86 = table.architecture() == arch::Architecture::x86_64;
    std::vector<std::string> told;  // EQUAL registers that some node tells
    for (const NodeProfile& node : nodes) {
        for (const auto& [name, value] : node.registers) {
            if (!is_minimum_register(name) && std::ranges::find(told, name) == told.end()) told.push_back(name);
        }
    }
    std::vector<ToCollect> list;
    for (const NodeProfile& node : nodes) {
        ToCollect open;
        open.origin = node.origin;
        open.features = level.undetermined - node.known;
        const NodeArea area = area_of(table, node);
        open.xsave_layout = x86 && area.in_use && area.standard == 0;
        open.signal_stack = !node.minimum_signal_stack;
        for (const std::string& name : told) {
            if (!node.registers.contains(name)) open.registers.push_back(name);
        }
        if (open.features.empty() && !open.xsave_layout && open.registers.empty() && !open.signal_stack) continue;
        const auto same = std::ranges::find_if(list, [&](const ToCollect& other) {
            return other.origin == open.origin && other.features == open.features &&
                   other.xsave_layout == open.xsave_layout && other.signal_stack == open.signal_stack &&
                   other.registers == open.registers;
        });
        if (same != list.end()) {
            same->nodes.push_back(node.name);
            continue;
        }
        open.nodes.push_back(node.name);
        open.how = way_to(node);
        list.push_back(std::move(open));
    }
    return list;
}

}  // namespace cpulevel::level
