#include "cli/blame.h"

#include <algorithm>
#include <map>

namespace cpulevel::cli {

namespace {

using LossById = std::map<arch::FeatureId, const level::Loss*>;

// The dependencies have no cycles (a test of data/ proves it), so this ends.
void collect(const level::Loss& loss, const LossById& by_id, std::set<std::string>& nodes) {
    nodes.insert(loss.lacking.begin(), loss.lacking.end());
    nodes.insert(loss.undescribed.begin(), loss.undescribed.end());
    if (loss.reason != level::LossReason::closure) return;
    for (const arch::FeatureId need : loss.missing_needs) {
        const auto at = by_id.find(need);
        if (at != by_id.end()) collect(*at->second, by_id, nodes);
    }
}

}  // namespace

Blame blame(std::span<const level::Loss> losses) {
    LossById by_id;
    for (const level::Loss& loss : losses) by_id.emplace(loss.feature, &loss);

    Blame result;
    std::map<std::set<std::string>, BlameGroup> groups;
    for (const level::Loss& loss : losses) {
        std::set<std::string> nodes;
        collect(loss, by_id, nodes);
        const bool nodes_fault = loss.reason == level::LossReason::absent ||
                                 loss.reason == level::LossReason::unknown || loss.reason == level::LossReason::closure;
        if (!nodes_fault || nodes.empty()) {
            result.general.push_back(&loss);
            continue;
        }
        BlameGroup& group = groups[nodes];
        group.nodes = nodes;
        (loss.reason == level::LossReason::closure ? group.by_closure : group.direct).push_back(&loss);
    }
    for (auto& [nodes, group] : groups) result.groups.push_back(std::move(group));
    std::ranges::stable_sort(result.groups, [](const BlameGroup& a, const BlameGroup& b) {
        if (a.nodes.size() != b.nodes.size()) return a.nodes.size() < b.nodes.size();
        return a.direct.size() + a.by_closure.size() > b.direct.size() + b.by_closure.size();
    });
    return result;
}

}  // namespace cpulevel::cli
