// `cpulevel baseline`: what several machines have in common, and what it costs.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "cli/view_collect.h"
#include "level/collect.h"
#include "level/meet.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::vector<std::string> nodes;
    std::string output;
    std::string name;
    std::string like;
    std::vector<std::string> allow;
    bool accept_unmaskable = false;
    bool json = false;
    bool all = false;
};

using Nodes = std::vector<profile::NodeProfile>;

Result<Nodes> load(const std::vector<std::string>& words) {
    Nodes nodes;
    std::map<std::string, int> uses;
    for (const std::string& word : words) {
        auto node = node_argument(word);
        if (!node) return std::unexpected(node.error());
        // Two nodes of one name (images cloned with their host name) must stay apart in what we tell.
        const int use = ++uses[node->name];
        if (use > 1) node->name = fmt::format("{} ({})", node->name, word);
        nodes.push_back(*std::move(node));
    }
    return nodes;
}

Result<level::MeetOptions> meet_options(const Options& options, const Nodes& nodes) {
    level::MeetOptions result;
    result.name = options.name;
    result.accept_unmaskable = options.accept_unmaskable;
    const arch::FeatureTable& table = arch::table(nodes.front().architecture);
    for (const std::string& name : options.allow) {
        const auto id = table.find(name);
        if (!id) {
            std::vector<std::string> near;
            for (const std::string_view one : table.suggest(name)) near.emplace_back(one);
            return usage_error(
                "unknown feature", safe(name), {},
                near.empty() ? "`cpulevel show --features` lists them" : "did you mean " + join(near, " or ") + "?");
        }
        result.allow.insert(*id);
    }
    if (options.like.empty()) return result;
    const auto chosen = std::ranges::find(nodes, options.like, &profile::NodeProfile::name);
    if (chosen == nodes.end()) {
        std::vector<std::string> names;
        for (const profile::NodeProfile& node : nodes) names.push_back(node.name);
        std::string hint = did_you_mean(options.like, names);
        return usage_error("no node of that name", safe(options.like), {},
                           hint.empty() ? "the nodes are " + safe(join(names, ", ")) : hint);
    }
    result.chosen = static_cast<std::size_t>(chosen - nodes.begin());
    return result;
}

nlohmann::json loss_json(const level::Loss& loss, const arch::FeatureTable& table) {
    std::vector<std::string> needs;
    for (const arch::FeatureId id : loss.missing_needs) needs.emplace_back(table[id].name);
    return {{"feature", table[loss.feature].name},
            {"reason", level::name(loss.reason)},
            {"lacking", loss.lacking},
            {"switched_off", loss.switched_off},
            {"undescribed", loss.undescribed},
            {"missing_needs", needs},
            {"detail", loss.detail},
            {"user", table[loss.feature].user}};
}

nlohmann::json largest_json(const std::optional<level::Largest>& largest) {
    if (!largest) return nullptr;
    return {{"bytes", largest->bytes}, {"node", largest->node}};
}

std::string baseline_json(const level::Meet& meet, std::span<const level::ToCollect> collect) {
    const arch::FeatureTable& table = arch::table(meet.level.architecture);
    nlohmann::json losses = nlohmann::json::array();
    for (const level::Loss& loss : meet.losses) losses.push_back(loss_json(loss, table));
    return to_text({{"level", nlohmann::json::parse(json_text(meet.level))},
                    {"losses", std::move(losses)},
                    {"collect", collect_json(collect, table)},
                    {"xsave_area", largest_json(meet.xsave_area)},
                    {"signal_stack", largest_json(meet.signal_stack)}});
}

Result<int> baseline(const Options& options) {
    const auto nodes = load(options.nodes);
    if (!nodes) return std::unexpected(nodes.error());
    const auto how = meet_options(options, *nodes);
    if (!how) return std::unexpected(how.error());
    const auto meet = level::meet(*nodes, *how);
    if (!meet) return std::unexpected(meet.error());
    if (!options.output.empty()) {
        if (auto written = write_output(options.output, json_text(meet->level)); !written) {
            return std::unexpected(written.error());
        }
        if (options.output == "-") return 0;
    }
    const arch::FeatureTable& table = arch::table(meet->level.architecture);
    const auto collect = level::what_to_collect(table, *nodes, meet->level);
    std::string told;
    if (options.json) {
        told = baseline_json(*meet, collect);
    } else {
        const View view = View::of_standard_output(options.all);
        told = describe(meet->level, view) + "\n" + losses_text(*meet, *nodes, view) +
               collect_text(collect, table, view);
        if (!options.output.empty())
            told += fmt::format("\nWritten to {}; run a program under it:\n  cpulevel run --level {} -- PROGRAM\n",
                                safe(options.output), safe(options.output));
    }
    if (auto written = write_standard_output(told); !written) return std::unexpected(written.error());
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("NODE", options->nodes, "Profiles; also levels, named levels and foreign descriptions")
        ->required()
        ->type_name("NODE");
    app.add_option("-o,--output", options->output, "Write the level (JSON) to FILE; - prints it alone")
        ->type_name("FILE");
    app.add_option("--name", options->name, "The level's name")->type_name("NAME");
    app.add_option("--like", options->like, "The node whose vendor, model and brand programs see (the first)")
        ->type_name("NAME");
    app.add_option("--allow", options->allow,
                   "Show this feature although it does not survive a move (amx_tile, ...); may be repeated")
        ->type_name("FEATURE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--accept-unmaskable", options->accept_unmaskable,
                 "Go on, with a warning, where nodes differ in what nothing can hide (arm64: PAC, BTI, CTR_EL0)");
    app.add_flag("--json", options->json, "Print level and losses as JSON instead of tables");
    app.add_flag("--all", options->all, "Every lost feature on a line of its own, kernels' features too");
    return [options](const Invocation&) { return baseline(*options); };
}

const Registration kRegistration(
    {.name = "baseline",
     .order = 30,
     .summary = "Compute what machines have in common, and say what is lost to whom",
     .details =
         "The level shows a feature only if every node has it and everything that it needs; sizes that programs must "
         "provide for are the largest of all nodes. Vendors may be mixed.",
     .examples = "  cpulevel baseline *.json -o fleet.json\n"
                 "  cpulevel baseline a.json b.json --all          why each feature is lost\n"
                 "  cpulevel baseline a.json x86-64-v3             no more than x86-64-v3 of it\n"
                 "  cpulevel baseline a.json b.json --allow amx_tile --allow amx_int8\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
