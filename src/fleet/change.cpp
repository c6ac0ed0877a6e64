#include "fleet/change.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "fleet/pool_model.h"
#include "util/name_ranges.h"
#include "util/text.h"

namespace cpulevel::fleet {

Result<void> take_out(Fleet& fleet, std::string_view names) {
    constexpr std::size_t kMost = 10'000'000;
    std::unordered_map<std::string_view, std::pair<std::size_t, std::size_t>> where;
    for (std::size_t type = 0; type < fleet.types.size(); ++type) {
        for (std::size_t i = 0; i < fleet.types[type].nodes.size(); ++i) where[fleet.types[type].nodes[i]] = {type, i};
    }
    // A name may look like a range.
    Result<std::vector<std::string>> wanted = std::vector{std::string(names)};
    if (!where.contains(names)) wanted = from_ranges(names, kMost);
    if (!wanted) return std::unexpected(wanted.error());
    std::vector<std::vector<bool>> out(fleet.types.size());
    for (std::size_t type = 0; type < out.size(); ++type) out[type].assign(fleet.types[type].nodes.size(), false);
    for (const std::string& name : *wanted) {
        const auto at = where.find(name);
        if (at == where.end()) {
            std::vector<std::string_view> candidates;
            for (const auto& [known, place] : where) {
                // Of a hundred thousand names, those of about the same length are near enough to look at.
                if (known.size() + 2 >= name.size() && known.size() <= name.size() + 2 && candidates.size() < 5000) {
                    candidates.push_back(known);
                }
            }
            std::ranges::sort(candidates);
            const auto near = nearest(name, candidates, 1);
            return usage_error("no node of that name", printable(name), {},
                               near.empty() ? "" : "did you mean " + printable(near.front()) + "?");
        }
        out[at->second.first][at->second.second] = true;
    }
    for (std::size_t type = 0; type < fleet.types.size(); ++type) {
        NodeType& one = fleet.types[type];
        std::vector<std::string> kept;
        for (std::size_t i = 0; i < one.nodes.size(); ++i) {
            if (!out[type][i]) kept.push_back(std::move(one.nodes[i]));
        }
        one.count -= one.nodes.size() - kept.size();
        one.nodes = std::move(kept);
        if (!one.nodes.empty()) one.profile.name = one.nodes.front();
    }
    return {};
}

Result<void> remove_nodes(Fleet& fleet, std::string_view names) {
    auto taken = take_out(fleet, names);
    if (taken) std::erase_if(fleet.types, [](const NodeType& type) { return type.count == 0; });
    return taken;
}

std::optional<arch::FeatureSet> level_features(const Fleet& fleet, const level::MeetOptions& options) {
    if (fleet.types.empty()) return std::nullopt;
    const PoolModel model(fleet.types.front().profile.architecture, options, {});
    PoolState all = model.of(fleet.types.front().profile);
    for (std::size_t i = 1; i < fleet.types.size(); ++i) model.add(all, model.of(fleet.types[i].profile));
    if (!all.feasible) return std::nullopt;
    return model.features(all);
}

}  // namespace cpulevel::fleet
