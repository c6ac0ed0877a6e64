#include "cli/compare_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/view_types.h"
#include "report/report.h"
#include "util/name_ranges.h"
#include "util/text.h"

namespace cpulevel::cli {
namespace {

using level::Answer;
using level::Verdict;

constexpr std::size_t kMostTypes = 40;
constexpr std::size_t kMostFeatures = 8;  // of a reason

int rank(Verdict verdict) { return verdict == Verdict::no ? 0 : verdict == Verdict::unknown ? 1 : 2; }

// Short, as in the report: what is in the way has to fit beside it.
std::string brand_of(const fleet::NodeType& type) {
    const std::string brand = report::short_cpu(type.profile.identity.brand);
    return safe(brand.empty() ? type.profile.identity.vendor : brand);
}

std::string some(const arch::FeatureTable& table, const arch::FeatureSet& set, bool all) {
    std::vector<std::string> names = feature_names(table, set);
    const std::size_t more = all ? 0 : names.size() - std::min(names.size(), kMostFeatures);
    names.resize(names.size() - more);
    return join(names, " ") + (more > 0 ? fmt::format(" and {} more", more) : std::string{});
}

// What stands in the way, each thing once, whichever question it came up with.
std::string why(const TypeAnswers& type, const arch::FeatureTable& table, const View& view) {
    std::vector<std::string> parts;
    arch::FeatureSet missing, undescribed;
    for (const Answer& answer : type.answers) {
        missing |= answer.missing;
        undescribed |= answer.undescribed;
    }
    if (!missing.empty()) parts.push_back("lacks " + some(table, missing, view.all));
    if (!undescribed.empty()) parts.push_back("does not tell of " + some(table, undescribed, view.all));
    for (const Answer& answer : type.answers) {
        // The reasons about features come first, one for each of the sets that are not empty.
        const std::size_t told = (answer.missing.empty() ? 0U : 1U) + (answer.undescribed.empty() ? 0U : 1U);
        for (std::size_t i = std::min(told, answer.reasons.size()); i < answer.reasons.size(); ++i) {
            if (std::ranges::find(parts, answer.reasons[i]) == parts.end()) parts.push_back(answer.reasons[i]);
        }
    }
    return safe(join(parts, "; "));
}

std::size_t nodes_with(const FleetAnswers& answers, const fleet::Fleet& fleet, Verdict verdict) {
    std::size_t nodes = 0;
    for (const TypeAnswers& type : answers.types) nodes += type.worst() == verdict ? fleet.types[type.type].count : 0;
    return nodes;
}

nlohmann::json answer_json(const std::string& question, const Answer& answer, const arch::FeatureTable& table) {
    return {{"question", question},
            {"answer", level::name(answer.verdict)},
            {"missing", feature_names(table, answer.missing)},
            {"undescribed", feature_names(table, answer.undescribed)},
            {"reasons", answer.reasons},
            {"cautions", answer.cautions}};
}

}  // namespace

Verdict TypeAnswers::worst() const {
    return std::ranges::min_element(answers, {}, [](const Answer& answer) { return rank(answer.verdict); })->verdict;
}

bool FleetAnswers::all_yes() const {
    return std::ranges::all_of(types, [](const TypeAnswers& type) { return type.worst() == Verdict::yes; });
}

FleetAnswers ask_fleet(const std::function<level::Level(const profile::NodeProfile&)>& level_for,
                       const fleet::Fleet& fleet, const std::vector<std::string>& questions) {
    FleetAnswers result;
    result.questions = questions;
    for (std::size_t i = 0; i < fleet.types.size(); ++i) {
        profile::NodeProfile node = fleet.types[i].profile;
        node.name = fleet.types[i].label();
        const level::Level level = level_for(node);
        result.level = level.name;
        TypeAnswers type{.type = i, .answers = {}};
        for (const std::string& question : questions) {
            type.answers.push_back(question == "start" ? may_start(level, node) : may_be_restored(level, node));
        }
        result.types.push_back(std::move(type));
    }
    std::ranges::stable_sort(result.types, [&](const TypeAnswers& a, const TypeAnswers& b) {
        if (a.worst() != b.worst()) return rank(a.worst()) < rank(b.worst());
        return fleet.types[a.type].count > fleet.types[b.type].count;
    });
    return result;
}

std::string verdict_text(Verdict verdict, const View& view) {
    switch (verdict) {
        case Verdict::yes: return view.style.good("yes");
        case Verdict::no: return view.style.bad("no");
        case Verdict::unknown: return view.style.caution("not known");
    }
    return "not known";
}

std::string fleet_answers_text(const FleetAnswers& answers, const fleet::Fleet& fleet, const View& view) {
    std::string text = heading(view, fmt::format("{} on {} of {}", safe(answers.level), nodes_count(fleet.node_count()),
                                                 plural(fleet.types.size(), "type")));
    std::vector<std::string> headings = answers.questions;
    headings.insert(headings.end(), {"nodes", "type", "CPU", "because"});
    Table rows(headings);
    rows.align(answers.questions.size(), Align::right);
    const std::size_t shown = view.all ? answers.types.size() : std::min(answers.types.size(), kMostTypes);
    for (const TypeAnswers& type : std::span(answers.types).first(shown)) {
        const fleet::NodeType& of = fleet.types[type.type];
        std::vector<std::string> cells;
        for (const Answer& answer : type.answers) cells.push_back(verdict_text(answer.verdict, view));
        cells.insert(cells.end(), {with_commas(of.count), safe(of.label()), brand_of(of),
                                   why(type, arch::table(of.profile.architecture), view)});
        rows.add_row(std::move(cells));
    }
    text += rows.text(view.style, view.width);
    if (shown < answers.types.size()) {
        text += "  " +
                view.style.faint(fmt::format("and {} more types (--all shows them)", answers.types.size() - shown)) +
                "\n";
    }
    const std::size_t yes = nodes_with(answers, fleet, Verdict::yes), no = nodes_with(answers, fleet, Verdict::no);
    std::string sum =
        yes == fleet.node_count() ? "All of them can give it." : fmt::format("{} can give it", nodes_count(yes));
    if (no > 0) sum += fmt::format(", {} cannot", nodes_count(no));
    if (const std::size_t unknown = fleet.node_count() - yes - no; unknown > 0) {
        sum += fmt::format(", of {} it is not known", nodes_count(unknown));
    }
    return text + "\n" + sum + (sum.ends_with('.') ? "\n" : ".\n");
}

std::string fleet_answers_json(const FleetAnswers& answers, const fleet::Fleet& fleet) {
    nlohmann::json types = nlohmann::json::array();
    for (const TypeAnswers& type : answers.types) {
        const fleet::NodeType& of = fleet.types[type.type];
        nlohmann::json list = nlohmann::json::array();
        for (std::size_t i = 0; i < type.answers.size(); ++i) {
            list.push_back(answer_json(answers.questions[i], type.answers[i], arch::table(of.profile.architecture)));
        }
        types.push_back({{"count", of.count},
                         {"nodes", to_ranges(of.nodes)},
                         {"brand", trim(of.profile.identity.brand)},
                         {"answers", std::move(list)}});
    }
    return to_text({{"level", answers.level},
                    {"nodes", fleet.node_count()},
                    {"yes", nodes_with(answers, fleet, Verdict::yes)},
                    {"no", nodes_with(answers, fleet, Verdict::no)},
                    {"unknown", nodes_with(answers, fleet, Verdict::unknown)},
                    {"types", std::move(types)}});
}

}  // namespace cpulevel::cli
