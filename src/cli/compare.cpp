// `cpulevel compare`: the three questions about starting and moving, each answered for itself.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/compare_fleet.h"
#include "cli/files.h"
#include "cli/fleet_argument.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "level/compare.h"
#include "level/meet.h"
#include "profile/probe.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

using level::Answer;
using level::Verdict;

struct Options {
    std::string level;
    std::string here;
    std::string there;
    std::vector<std::string> questions;
    bool json = false;
    bool all = false;
    bool differences = false;
    bool keep_going = false;
};

struct Asked {
    std::string key;       // "start", "restore", "move": as --question takes it
    std::string question;  // in words, with the names
    Answer answer;
};

bool wanted(const Options& options, std::string_view question) {
    return options.questions.empty() || std::ranges::find(options.questions, question) != options.questions.end();
}

std::vector<Asked> ask(const Options& options, const level::Level& level, const profile::NodeProfile& here,
                       const std::optional<profile::NodeProfile>& there) {
    std::vector<Asked> asked;
    const std::string name = safe(level.name), on = safe(here.name);
    if (wanted(options, "start")) {
        asked.push_back(
            {"start", fmt::format("May a program levelled to {} start on {}?", name, on), may_start(level, here)});
    }
    if (wanted(options, "restore")) {
        asked.push_back({"restore", fmt::format("May one checkpointed under {} be restored on {}?", name, on),
                         may_be_restored(level, here)});
    }
    if (there && wanted(options, "move")) {
        asked.push_back({"move", fmt::format("May one started on {} under {} move to {}?", on, name, safe(there->name)),
                         may_move(level, here, *there)});
    }
    return asked;
}

std::string answer_text(const Asked& asked, const arch::FeatureTable& table, const View& view) {
    std::string text =
        wrap(view.style.strong(asked.question) + " " + verdict_text(asked.answer.verdict, view), view.width, 0) + "\n";
    text += bullets(asked.answer.reasons, view);
    if (view.all && !asked.answer.missing.empty()) {
        text += "  missing: " + wrap(join(feature_names(table, asked.answer.missing), " "), view.width, 11) + "\n";
    }
    if (view.all && !asked.answer.undescribed.empty()) {
        text += "  not told: " + wrap(join(feature_names(table, asked.answer.undescribed), " "), view.width, 12) + "\n";
    }
    for (const std::string& caution : asked.answer.cautions) {
        text += "  " + view.style.caution("caution:") + " " + wrap(safe(caution), view.width, 11) + "\n";
    }
    return text;
}

std::string differences_text(const level::Difference& difference, std::string_view a, std::string_view b,
                             const arch::FeatureTable& table, const View& view) {
    std::string text;
    const auto features = [&](const arch::FeatureSet& set, const std::string& title) {
        if (set.empty()) return;
        text += heading(view, fmt::format("{} ({})", title, set.size())) + features_by_group(table, set, view);
    };
    features(difference.only_a, fmt::format("Only {}", safe(a)));
    features(difference.only_b, fmt::format("Only {}", safe(b)));
    features(difference.unsure, "Not told by one of them");
    if (!difference.values.empty()) {
        Table rows({"value", safe(a), safe(b)});
        for (const level::ValueDifference& value : difference.values) {
            rows.add_row({value.what, value.a.empty() ? "not told" : safe(value.a),
                          value.b.empty() ? "not told" : safe(value.b)});
        }
        text += heading(view, "Values that differ") + rows.text(view.style, view.width);
    }
    return text.empty() ? heading(view, "They do not differ") : text;
}

nlohmann::json answer_json(const Asked& asked, const arch::FeatureTable& table) {
    return {{"question", asked.key},
            {"answer", level::name(asked.answer.verdict)},
            {"missing", feature_names(table, asked.answer.missing)},
            {"undescribed", feature_names(table, asked.answer.undescribed)},
            {"reasons", asked.answer.reasons},
            {"cautions", asked.answer.cautions}};
}

nlohmann::json difference_json(const level::Difference& difference, const arch::FeatureTable& table) {
    nlohmann::json values = nlohmann::json::array();
    for (const level::ValueDifference& value : difference.values) {
        values.push_back({{"what", value.what}, {"level", value.a}, {"here", value.b}});
    }
    return {{"only_level", feature_names(table, difference.only_a)},
            {"only_here", feature_names(table, difference.only_b)},
            {"unsure", feature_names(table, difference.unsure)},
            {"values", std::move(values)}};
}

// One machine, however it is described: a folder or an archive may hold a single one.
profile::NodeProfile single(const intake::Gathered& gathered) {
    profile::NodeProfile node = gathered.fleet.types.front().profile;
    node.name = gathered.fleet.types.front().nodes.front();
    return node;
}

Result<int> compare_fleet(const Options& options, const intake::Gathered& gathered) {
    if (!options.there.empty() || std::ranges::count(options.questions, "move") > 0) {
        return usage_error("a move is from one machine", safe(options.here),
                           fmt::format("it describes {}", gathered.type_of.size()),
                           "compare without THERE asks each of them whether it can give the level");
    }
    if (options.differences) {
        return usage_error("--differences is for one machine", safe(options.here),
                           fmt::format("it describes {}", gathered.type_of.size()));
    }
    const fleet::Fleet& fleet = gathered.fleet;
    auto level = level_argument(options.level, &fleet.types.front().profile);
    if (!level) return std::unexpected(level.error());
    // A named level takes the places of XSAVE components from the machine that it is for.
    const bool named = level->nodes.empty() && options.level != "-";
    const auto level_for = [&](const profile::NodeProfile& node) {
        if (named && node.architecture == level->architecture) {
            if (auto own = level_argument(options.level, &node)) return *std::move(own);
        }
        return *level;
    };
    std::vector<std::string> questions;
    for (const char* question : {"start", "restore"}) {
        if (wanted(options, question)) questions.emplace_back(question);
    }
    const FleetAnswers answers = ask_fleet(level_for, fleet, questions);
    const std::string told = options.json ? fleet_answers_json(answers, fleet)
                                          : fleet_answers_text(answers, fleet, View::of_standard_output(options.all));
    if (auto written = write_standard_output(told); !written) return std::unexpected(written.error());
    if (gathered.fault_count > 0) return exit_code(ErrorKind::usage);
    return answers.all_yes() ? 0 : 1;
}

Result<int> compare(const Options& options) {
    if (options.level == "-" && (options.here == "-" || options.there == "-")) {
        return usage_error("standard input can be one thing only");
    }
    Result<profile::NodeProfile> here;
    if (options.here.empty()) {
        here = profile::probe_this_machine();
    } else {
        const auto gathered = fleet_arguments({options.here}, options.keep_going);
        if (!gathered) return std::unexpected(gathered.error());
        if (gathered->type_of.size() > 1 || gathered->fault_count > 0) return compare_fleet(options, *gathered);
        here = single(*gathered);
    }
    if (!here) return std::unexpected(here.error());
    std::optional<profile::NodeProfile> there;
    if (!options.there.empty()) {
        const auto gathered = fleet_arguments({options.there}, false);
        if (!gathered) return std::unexpected(gathered.error());
        if (gathered->type_of.size() > 1) {
            return usage_error("a move is to one machine", safe(options.there),
                               fmt::format("it describes {}", gathered->type_of.size()));
        }
        there = single(*gathered);
    }
    const auto level = level_argument(options.level, &*here);
    if (!level) return std::unexpected(level.error());
    if (!there && !options.questions.empty() && std::ranges::count(options.questions, "move") > 0) {
        return usage_error("no machine to move to", {}, {}, "--question move needs a THERE");
    }

    const arch::FeatureTable& table = arch::table(level->architecture);
    const std::vector<Asked> asked = ask(options, *level, *here, there);
    const View view = View::of_standard_output(options.all);
    std::optional<level::Difference> difference;
    if (options.differences) difference = level::compare(level::as_node(*level), *here);

    std::string told;
    if (options.json) {
        nlohmann::json answers = nlohmann::json::array();
        for (const Asked& one : asked) answers.push_back(answer_json(one, table));
        nlohmann::json all = {{"level", level->name}, {"here", here->name}, {"answers", std::move(answers)}};
        if (there) all["there"] = there->name;
        if (difference) all["differences"] = difference_json(*difference, table);
        told = to_text(all);
    } else {
        for (const Asked& one : asked) told += answer_text(one, table, view);
        if (difference) told += "\n" + differences_text(*difference, level->name, here->name, table, view);
    }
    if (auto written = write_standard_output(told); !written) return std::unexpected(written.error());
    const bool all_yes =
        std::ranges::all_of(asked, [](const Asked& one) { return one.answer.verdict == Verdict::yes; });
    return all_yes ? 0 : 1;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("LEVEL", options->level, kLevelHelp)->required()->type_name("LEVEL");
    app.add_option("HERE", options->here,
                   "A machine's profile (this machine), or many: a folder, an archive, JSON lines")
        ->type_name("NODE");
    app.add_option("THERE", options->there, "The profile of a machine to move to")->type_name("NODE");
    app.add_option("--question", options->questions, "Ask only this one (start, restore, move); may be repeated")
        ->check(CLI::IsMember({"start", "restore", "move"}))
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_flag("--differences", options->differences, "Say also in what LEVEL and HERE differ");
    app.add_flag("--keep-going", options->keep_going,
                 "With many: go on without what cannot be read; the exit status is then 2");
    app.add_flag("--json", options->json, "Print the answers as JSON");
    app.add_flag("--all", options->all, "Name every missing feature, kernels' features too");
    return [options](const Invocation&) { return compare(*options); };
}

const Registration kRegistration(
    {.name = "compare",
     .order = 40,
     .summary = "May it start here, be restored here, move there?",
     .details =
         "Three questions, because they have different answers: an upward and a downward move fail for different "
         "reasons. A profile in place of LEVEL stands for a program that is not levelled. Where HERE is many nodes, "
         "each type "
         "of them is asked whether it can give the level. Exit status: 0 if every answer is yes, 1 if one is no or not "
         "known.",
     .examples =
         "  cpulevel compare fleet.json                       this machine\n"
         "  cpulevel compare fleet.json a.json b.json         started on a, moved to b\n"
         "  cpulevel compare x86-64-v3 nodes/                 which of many nodes can give it, which not, and why\n"
         "  cpulevel compare a.json b.json --differences      unlevelled, and how a and b differ\n"
         "  cpulevel compare --question restore x86-64-v3 && criu restore ...\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
