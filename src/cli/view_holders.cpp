#include "cli/view_holders.h"

#include <fmt/format.h>

#include <algorithm>

#include "fleet/what_if.h"
#include "level/named.h"
#include "report/fold_names.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

constexpr std::size_t kAlone = 3;          // types told one by one
constexpr std::size_t kMostFolded = 1000;  // names; more are hardly ever a few ranges, and take long to fold
constexpr std::size_t kLongest = 60;       // characters of folded names
constexpr std::size_t kLabels = 3;         // in their place

// The nodes, folded, where that is short: "node[1-40]". Else a node of each type, and how many are like it.
std::string names_of(const fleet::Fleet& fleet, const fleet::Removal& removal) {
    std::vector<std::string> names;
    std::vector<std::string> labels;
    for (const std::size_t type : removal.types) {
        const fleet::NodeType& one = fleet.types[type];
        labels.push_back(one.label());
        if (removal.nodes <= kMostFolded) names.insert(names.end(), one.nodes.begin(), one.nodes.end());
    }
    if (names.size() == removal.nodes) {
        std::vector<std::string> folded;
        for (const report::FoldedNames& one : report::fold_names(names)) folded.push_back(report::to_text(one));
        if (const std::string text = join(folded, ", "); text.size() <= kLongest) return safe(text);
    }
    const std::size_t more = labels.size() - std::min(labels.size(), kLabels);
    labels.resize(labels.size() - more);
    return safe(join(labels, ", ") + (more > 0 ? " and " + plural(more, "more type") : std::string{}));
}

// For each standard level that is out of reach: leaving out all that have it not.
std::vector<fleet::Removal> ladder(const level::Meet& meet, const fleet::Fleet& fleet, const level::MeetOptions& how) {
    std::vector<fleet::Removal> result;
    const auto examples = fleet::representatives(fleet);
    level::MeetOptions others_how = how;
    others_how.chosen = 0;
    for (const arch::NamedLevel* named : level::standard_levels(arch::table(meet.level.architecture))) {
        arch::FeatureSet wants;
        for (const arch::FeatureId id : named->features) wants.insert(id);
        if (wants.is_subset_of(meet.level.features)) continue;
        fleet::Removal removal;
        std::vector<profile::NodeProfile> others;
        for (std::size_t type = 0; type < fleet.types.size(); ++type) {
            if (wants.is_subset_of(examples[type].features)) {
                others.push_back(examples[type]);
            } else {
                removal.types.push_back(type);
                removal.nodes += fleet.types[type].count;
            }
        }
        if (others.empty() || removal.types.size() < 2) continue;  // one type is told by itself
        if (!result.empty() && result.back().types == removal.types) continue;
        const auto without = level::meet(others, others_how);
        if (!without) continue;
        removal.gained = without->level.features - meet.level.features;
        result.push_back(std::move(removal));
    }
    return result;
}

}  // namespace

std::string holders_text(const level::Meet& meet, const fleet::Fleet& fleet, const level::MeetOptions& how,
                         const View& view) {
    const arch::FeatureTable& table = arch::table(meet.level.architecture);
    const auto values = fleet::default_values(table);
    const auto alone = fleet::rank_removals(fleet, how, values);
    if (!alone) return {};

    Table rows({"without", "nodes", "features more", "level"});
    rows.align(1, Align::right).align(2, Align::right);
    const auto now = best_named_level(table, meet.level.features);
    const auto add = [&](const fleet::Removal& removal) {
        const std::size_t gained = user_features(table, removal.gained).size();
        if (gained == 0) return;
        const auto then = best_named_level(table, meet.level.features | removal.gained);
        rows.add_row({names_of(fleet, removal), fmt::format("{}", removal.nodes), fmt::format("{}", gained),
                      then == now ? "the same" : view.style.good(then.value_or("-"))});
    };
    for (std::size_t i = 0; i < alone->size() && i < kAlone; ++i) add((*alone)[i]);
    for (const fleet::Removal& removal : ladder(meet, fleet, how)) add(removal);
    if (rows.empty()) return {};
    return "\n" + heading(view, "Who holds it down") + rows.text(view.style, view.width);
}

}  // namespace cpulevel::cli
