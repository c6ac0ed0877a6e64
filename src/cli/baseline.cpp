// `cpulevel baseline`: what several machines have in common, and what it costs.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/fleet_argument.h"
#include "cli/html_report.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/own_output.h"
#include "cli/view_collect.h"
#include "cli/view_holders.h"
#include "cli/view_types.h"
#include "fleet/kept.h"
#include "fleet/what_if.h"
#include "level/collect.h"
#include "level/meet.h"
#include "level/named.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::vector<std::string> nodes;
    std::string output;
    std::string html;
    std::string name;
    std::string like;
    std::vector<std::string> allow;
    std::string update;
    std::vector<std::string> remove;
    bool updatable = false;
    bool keep_going = false;
    bool accept_unmaskable = false;
    bool json = false;
    bool all = false;
};

using Nodes = std::vector<profile::NodeProfile>;

// What a level is made of: the fleet, and of it the nodes that go into the meet.
struct Made {
    fleet::Fleet fleet;
    Nodes nodes;
    std::vector<std::size_t> counts;  // of each of `nodes`, where they stand for types; else empty
    std::size_t unreadable = 0;  // descriptions, and sources that end too early
    std::size_t cut = 0;         // of those, the sources
    std::optional<fleet::KeptFleet> kept;  // where there was one; `fleet` has few of its names then
};

Made made_of_types(fleet::Fleet fleet) {
    Made made;
    made.nodes = fleet::representatives(fleet);
    for (const fleet::NodeType& type : fleet.types) made.counts.push_back(type.count);
    made.fleet = std::move(fleet);
    return made;
}

Result<Made> read_all(const Options& options) {
    auto gathered = fleet_arguments(options.nodes, options.keep_going);
    if (!gathered) return std::unexpected(gathered.error());
    Made made;
    if (gathered->type_of.size() <= kMostSingly) {
        made.nodes = nodes_to_meet(*gathered);
        made.fleet = std::move(gathered->fleet);
    } else {
        made = made_of_types(std::move(gathered->fleet));
    }
    made.unreadable = gathered->fault_count;
    made.cut = gathered->cut_count;
    return made;
}

// The nodes that the level was made of, without those that go and with those that come.
Result<Made> read_update(const Options& options) {
    auto text = read_file(options.update);
    if (!text) return std::unexpected(text.error());
    auto kept = fleet::KeptFleet::read(*std::move(text), options.update);
    if (!kept) return std::unexpected(kept.error());
    for (const std::string& word : options.remove) {
        if (auto removed = kept->remove(word); !removed) return std::unexpected(removed.error());
    }
    std::size_t unreadable = 0;
    std::size_t cut = 0;
    if (!options.nodes.empty()) {
        auto gathered = fleet_arguments(options.nodes, options.keep_going);
        if (!gathered) return std::unexpected(gathered.error());
        if (auto added = kept->add(std::move(gathered->fleet)); !added) return std::unexpected(added.error());
        unreadable = gathered->fault_count;
        cut = gathered->cut_count;
    }
    if (kept->empty()) return usage_error("no nodes are left", options.update);
    Made made = made_of_types(kept->types());
    made.unreadable = unreadable;
    made.cut = cut;
    made.kept = *std::move(kept);
    return made;
}

// The file of a level that can be updated.
Result<std::string> updatable_text(const level::Level& level, const Made& made) {
    return made.kept ? made.kept->to_json(level) : fleet::KeptFleet(made.fleet).to_json(level);
}

Result<level::MeetOptions> meet_options(const Options& options, const Made& made) {
    const Nodes& nodes = made.nodes;
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
    if (const auto type = made.kept ? made.kept->type_of(options.like) : std::nullopt) {
        result.chosen = *type;
        return result;
    }
    if (!made.counts.empty()) {
        for (std::size_t type = 0; type < made.fleet.types.size(); ++type) {
            if (std::ranges::find(made.fleet.types[type].nodes, options.like) == made.fleet.types[type].nodes.end())
                continue;
            result.chosen = type;
            return result;
        }
    }
    const auto chosen = std::ranges::find(nodes, options.like, &profile::NodeProfile::name);
    if (chosen == nodes.end()) {
        std::vector<std::string> names;
        for (const profile::NodeProfile& node : nodes) names.push_back(node.name);
        std::string hint = did_you_mean(options.like, names);
        if (hint.empty()) hint = "the nodes are " + safe(join(names, ", "));
        return usage_error("no node of that name", safe(options.like), {}, hint);
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

// What each costs the others, where it costs something.
nlohmann::json alone_json(const Nodes& nodes, std::span<const arch::FeatureSet> alone,
                          const arch::FeatureTable& table) {
    nlohmann::json list = nlohmann::json::array();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!alone[i].empty()) list.push_back({{"node", nodes[i].name}, {"features", feature_names(table, alone[i])}});
    }
    return list;
}

std::string baseline_json(const level::Meet& meet, const Nodes& nodes, std::span<const arch::FeatureSet> alone,
                          std::span<const level::ToCollect> collect) {
    const arch::FeatureTable& table = arch::table(meet.level.architecture);
    nlohmann::json losses = nlohmann::json::array();
    for (const level::Loss& loss : meet.losses) losses.push_back(loss_json(loss, table));
    return to_text({{"level", nlohmann::json::parse(json_text(meet.level))},
                    {"losses", std::move(losses)},
                    {"alone", alone_json(nodes, alone, table)},
                    {"collect", collect_json(collect, table)},
                    {"xsave_area", largest_json(meet.xsave_area)},
                    {"signal_stack", largest_json(meet.signal_stack)}});
}

std::string written_text(const std::string& output, const level::Meet& meet, const arch::FeatureTable& table) {
    std::string text = fmt::format("Written to {}", safe(output));
    const auto reach = level::reached_level(table, meet.level.features, table.all()).reach;
    if (reach == level::Reach::below) return text + "; no program starts under it (see the warnings)\n";
    return text + fmt::format("; run a program under it:\n  cpulevel run --level {} -- PROGRAM\n", safe(output));
}

Result<void> check(const Options& options) {
    if (options.update.empty() && options.nodes.empty())
        return usage_error("no nodes are given", {}, {}, "see cpulevel baseline --help");
    if (options.update.empty() && !options.remove.empty()) {
        return usage_error("--remove is for --update", {}, {}, "leave the node's description out instead");
    }
    if (!options.update.empty() && options.nodes.empty() && options.remove.empty()) {
        return usage_error("nothing to update", options.update, {}, "give descriptions of new nodes, or --remove NAME");
    }
    // Standard output holds one thing.
    if ((options.html == "-") + (options.output == "-") + options.json >= 2) {
        return usage_error("several outputs for standard output", {}, {}, "give --html or -o a file's name");
    }
    // A fleet that is updated is replaced, unless -o names another file; it is no node either way.
    for (const std::string* file : {&options.output, &options.update, &options.html}) {
        if (auto good = check_not_an_input(*file, options.nodes); !good) return good;
    }
    return check_apart(options.output.empty() ? options.update : options.output, options.html);
}

Result<int> baseline(const Options& options) {
    if (auto good = check(options); !good) return std::unexpected(good.error());
    const bool update = !options.update.empty();
    const auto made = update ? read_update(options) : read_all(options);
    if (!made) return std::unexpected(made.error());
    const auto how = meet_options(options, *made);
    if (!how) return std::unexpected(how.error());
    auto meet = level::meet(made->nodes, *how);
    if (!meet) return std::unexpected(meet.error());
    std::ranges::move(missing_warnings(made->unreadable, made->cut), std::back_inserter(meet->level.warnings));
    const std::string output = options.output.empty() ? options.update : options.output;
    Result<std::string> file = json_text(meet->level);
    if (options.updatable || (update && options.output.empty())) file = updatable_text(meet->level, *made);
    if (!file) return std::unexpected(file.error());
    const int status = made->unreadable > 0 ? exit_code(ErrorKind::usage) : 0;
    if (!output.empty()) {
        if (auto written = write_output(output, *file); !written) return std::unexpected(written.error());
    }
    if (!options.html.empty()) {
        if (auto written =
                write_html_report(options.html, *meet, made->kept ? made->kept->with_names() : made->fleet, *how);
            !written) {
            return std::unexpected(written.error());
        }
    }
    if (output == "-" || options.html == "-") return status;
    const arch::FeatureTable& table = arch::table(meet->level.architecture);
    const auto collect = level::what_to_collect(table, made->nodes, meet->level);
    // Nodes, or types: where there are no counts, each of the nodes is one.
    const auto alone =
        made->counts.empty() ? fleet::alone_costs(made->nodes, *how) : fleet::alone_costs(made->fleet, *how);
    std::string told;
    if (options.json) {
        told = baseline_json(*meet, made->nodes, alone, collect);
    } else {
        const View view = View::of_standard_output(options.all);
        told = describe(meet->level, view) + "\n" + losses_text(*meet, {made->nodes, made->counts, alone}, view) +
               holders_text(*meet, made->fleet, *how, view) + collect_text(collect, table, view);
        if (!output.empty()) told += "\n" + written_text(output, *meet, table);
    }
    if (auto written = write_standard_output(told); !written) return std::unexpected(written.error());
    return status;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("NODE", options->nodes, kNodesHelp)->type_name("NODE");
    app.add_option("-o,--output", options->output, "Write the level (JSON) to FILE; - prints it alone")
        ->type_name("FILE");
    app.add_option("--html", options->html, "Write a report for the browser, one HTML page, to FILE")
        ->type_name("FILE");
    app.add_option("--name", options->name, "The level's name")->type_name("NAME");
    app.add_option("--like", options->like, "The node whose vendor, model and brand programs see (the first)")
        ->type_name("NAME");
    app.add_option("--allow", options->allow,
                   "Show this feature although it does not survive a move (amx_tile, ...); may be repeated")
        ->type_name("FEATURE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_flag("--accept-unmaskable", options->accept_unmaskable,
                 "Go on, with a warning, where nodes differ in what nothing can hide (arm64: PAC, BTI, CTR_EL0)");
    app.add_option("--update", options->update,
                   "Bring this level up to date: the nodes given are new, those of --remove are gone")
        ->type_name("FILE");
    app.add_option("--remove", options->remove, "With --update: nodes that are gone, by name or as node[1-4]")
        ->type_name("NAME")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_flag("--updatable", options->updatable,
                 "Keep in the level's file what --update needs: node types and names");
    app.add_flag("--keep-going", options->keep_going,
                 "Make the level without what cannot be read; the exit status is then 2");
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
     .examples = "  cpulevel baseline nodes/ -o fleet.json         of all descriptions in a folder\n"
                 "  cpulevel baseline nodes/ --html report.html    the same to look at, in a browser\n"
                 "  cpulevel baseline nodes/ --updatable -o fleet.json\n"
                 "  cpulevel baseline --update fleet.json new/ --remove node[3-5]\n"
                 "  cpulevel baseline a.json b.json --all          why each feature is lost\n"
                 "  cpulevel baseline a.json x86-64-v3             no more than x86-64-v3 of it\n"
                 "  cpulevel baseline a.json b.json --allow amx_tile --allow amx_int8\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
