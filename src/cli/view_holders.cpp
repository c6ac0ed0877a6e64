#include "cli/view_holders.h"

#include <fmt/format.h>

#include <algorithm>

#include "fleet/what_if.h"
#include "report/fold_names.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

constexpr std::size_t kAlone = 3;  // types told one by one
constexpr std::size_t kSteps = 3;  // of leaving out several
constexpr std::size_t kNames = 6;  // folded names in a line

std::string names_of(const fleet::Fleet& fleet, const fleet::Removal& removal) {
    std::vector<std::string> names;
    for (const std::size_t type : removal.types) {
        names.insert(names.end(), fleet.types[type].nodes.begin(), fleet.types[type].nodes.end());
    }
    std::vector<std::string> folded;
    for (const report::FoldedNames& one : report::fold_names(names)) folded.push_back(report::to_text(one));
    const std::size_t more = folded.size() - std::min(folded.size(), kNames);
    folded.resize(folded.size() - more);
    return safe(join(folded, ", ") + (more > 0 ? fmt::format(" and {} more", more) : std::string{}));
}

}  // namespace

std::string holders_text(const level::Meet& meet, const fleet::Fleet& fleet, const level::MeetOptions& how,
                         const View& view) {
    const arch::FeatureTable& table = arch::table(meet.level.architecture);
    const auto values = fleet::default_values(table);
    const auto alone = fleet::rank_removals(fleet, how, values);
    const auto steps = fleet::removal_steps(fleet, how, values);
    if (!alone || !steps) return {};

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
    std::size_t shown = 0;
    for (const fleet::Removal& step : *steps) {
        if (step.types.size() > 1 && ++shown <= kSteps) add(step);
    }
    if (rows.empty()) return {};
    return "\n" + heading(view, "Who holds it down") + rows.text(view.style, view.width);
}

}  // namespace cpulevel::cli
