// `cpulevel pools`: a fleet cut into groups with a level each, and what holds the level of all down.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/fleet_argument.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/own_output.h"
#include "cli/view_pools.h"
#include "cli/view_types.h"
#include "fleet/change.h"
#include "fleet/values.h"
#include "intake/models.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::vector<std::string> nodes, allow, never_lose, lose_only, value, without, with;
    std::optional<std::size_t> pools;
    std::string lose_at_most, values, output, name;
    bool accept_unmaskable = false;
    bool keep_going = false;
    bool json = false;
    bool all = false;
};

constexpr std::size_t kMostChoices = 6;

Result<arch::FeatureSet> features_named(const std::vector<std::string>& lists, const arch::FeatureTable& table) {
    arch::FeatureSet set;
    for (const std::string& list : lists) {
        for (const std::string_view name : split(list, ',')) {
            const auto id = fleet::find_feature(table, trim(name));
            if (!id) return std::unexpected(id.error());
            set.insert(*id);
        }
    }
    return set;
}

Result<fleet::PoolOptions> pool_options(const Options& options, const arch::FeatureTable& table) {
    fleet::PoolOptions result;
    result.pools = options.pools;
    result.meet.accept_unmaskable = options.accept_unmaskable;
    const auto allow = features_named(options.allow, table);
    if (!allow) return std::unexpected(allow.error());
    result.meet.allow = *allow;

    std::string text;
    if (!options.values.empty()) {
        auto read = read_file(options.values);
        if (!read) return std::unexpected(read.error());
        text = *std::move(read);
    }
    auto values = fleet::read_values(table, text, options.values, options.value);
    if (!values) return std::unexpected(values.error());
    result.values = *std::move(values);

    if (!options.lose_at_most.empty()) {
        const auto count = parse_decimal(options.lose_at_most);
        if (!count) {
            return usage_error("--lose-at-most takes a number", safe(options.lose_at_most), {},
                               "--never-lose NAMES keeps those that are named, --lose-only NAMES gives up no others");
        }
        result.lose_at_most = static_cast<std::size_t>(*count);
    }
    const auto never = features_named(options.never_lose, table);
    if (!never) return std::unexpected(never.error());
    result.never_lose = *never;
    if (!options.lose_only.empty()) {
        const auto only = features_named(options.lose_only, table);
        if (!only) return std::unexpected(only.error());
        result.never_lose |= user_features(table, table.all()) - *only;
    }
    return result;
}

// A word of --with: MODEL or MODEL:COUNT; a bundled profile, a file or a named level.
Result<fleet::NodeType> model_argument(const std::string& word) {
    std::string name = word;
    std::size_t count = 1;
    if (const auto colon = word.rfind(':'); colon != std::string::npos) {
        const std::string digits = word.substr(colon + 1);
        if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos) {
            const auto number = parse_decimal(digits);  // nothing: more than fits
            if (!number || *number == 0 || *number > intake::kMostNodes) {
                return usage_error("--with takes a number of machines from 1 to " + with_commas(intake::kMostNodes), safe(word));
            }
            name = word.substr(0, colon);
            count = static_cast<std::size_t>(*number);
        }
    }
    auto node = intake::find_model(name);
    if (!node) {
        auto read = node_argument(name);
        if (!read) {
            read.error().hint += (read.error().hint.empty() ? "" : "; ") + std::string("known models are ") +
                                 join(intake::model_names(), ", ");
            return std::unexpected(read.error());
        }
        node = *std::move(read);
    }
    node->name = "added " + node->name;
    return fleet::NodeType{*std::move(node), count, {}};
}

Result<fleet::Fleet> changed(const fleet::Fleet& fleet, const Options& options) {
    fleet::Fleet result = fleet;
    for (const std::string& word : options.without) {
        if (auto removed = fleet::remove_nodes(result, word); !removed) return std::unexpected(removed.error());
    }
    fleet::FleetBuilder builder(std::move(result));
    for (const std::string& word : options.with) {
        auto model = model_argument(word);
        if (!model) return std::unexpected(model.error());
        builder.add(std::move(model->profile), model->count, {});
    }
    result = builder.take();
    if (result.types.empty()) return usage_error("no nodes are left");
    return result;
}

// What the one level of all has more and less than before.
std::string change_text(const fleet::Fleet& before, const fleet::Fleet& after, const fleet::PoolOptions& options,
                        const View& view) {
    const arch::FeatureTable& table = arch::table(after.types.front().profile.architecture);
    const auto a = fleet::level_features(before, options.meet), b = fleet::level_features(after, options.meet);
    std::string text = heading(
        view, fmt::format("{} instead of {}", nodes_count(after.node_count()), nodes_count(before.node_count())));
    if (!a || !b) return text + fmt::format("  one level for all is {}possible {}\n", b ? "" : "not ", b ? "now" : "");
    const auto line = [&](const arch::FeatureSet& set, std::string_view what) {
        const auto names = feature_names(table, user_features(table, set));
        if (names.empty()) return fmt::format("  the one level of all {} nothing\n", what);
        return "  " + wrap(fmt::format("the one level of all {} {}", what, join(names, " ")), view.width, 4) + "\n";
    };
    return text + line(*b - *a, "gains") + line(*a - *b, "loses") + "\n";
}

Result<void> write_pools(fleet::Pools& pools, const Options& options) {
    struct stat status{};
    if (::stat(options.output.c_str(), &status) != 0)
        return system_error(ErrorKind::usage, "cannot write to", options.output);
    if (!S_ISDIR(status.st_mode)) return usage_error("-o takes a folder", safe(options.output));
    std::size_t number = 0;
    for (fleet::Pool& pool : pools.pools) {
        const std::string path = fmt::format("{}/pool-{}.json", options.output, ++number);
        if (auto written = write_file_atomically(path, json_text(pool.meet.level)); !written) return written;
    }
    return {};
}

Result<int> run_pools(const Options& options) {
    if (!options.output.empty()) {
        // Whatever the number of pools is: the first one is always written.
        auto good = check_not_an_input(options.output + "/pool-1.json", options.nodes);
        if (!good) return std::unexpected(good.error());
    }
    auto gathered = fleet_arguments(options.nodes, options.keep_going);
    if (!gathered) return std::unexpected(gathered.error());
    const auto fleet = changed(gathered->fleet, options);
    if (!fleet) return std::unexpected(fleet.error());
    const arch::FeatureTable& table = arch::table(fleet->types.front().profile.architecture);
    auto how = pool_options(options, table);
    if (!how) return std::unexpected(how.error());
    const bool explore = !how->pools && !how->lose_at_most && how->never_lose.empty();
    if (explore && !options.output.empty()) {
        return usage_error("how many pools?", {}, {}, "--pools K, or --lose-at-most, --never-lose, --lose-only");
    }

    const View view = View::of_standard_output(options.all);
    std::string told;
    nlohmann::json json;
    if (!options.with.empty() || !options.without.empty()) {
        told += change_text(gathered->fleet, *fleet, *how, view);
    }
    if (explore) {
        std::vector<fleet::Pools> choices;
        for (std::size_t count = 1; count <= kMostChoices; ++count) {
            how->pools = count;
            auto pools = fleet::make_pools(*fleet, *how);
            if (!pools && pools.error().kind == ErrorKind::refused && count < kMostChoices) continue;
            if (!pools) return std::unexpected(pools.error());
            if (!choices.empty() && choices.back().pools.size() == pools->pools.size()) break;
            choices.push_back(*std::move(pools));
        }
        told += choices_text(choices, view);
        json["choices"] = nlohmann::json::array();
        for (const fleet::Pools& pools : choices) json["choices"].push_back(pools_json(pools, *fleet));
    } else {
        auto pools = fleet::make_pools(*fleet, *how);
        if (!pools) return std::unexpected(pools.error());
        std::size_t number = 0;
        for (fleet::Pool& pool : pools->pools) {
            pool.meet.level.name = fmt::format("{}{}", options.name.empty() ? "pool-" : options.name + "-", ++number);
        }
        if (!options.output.empty()) {
            if (auto written = write_pools(*pools, options); !written) return std::unexpected(written.error());
        }
        told += pools_text(*pools, *fleet, view);
        if (!options.output.empty()) {
            told += fmt::format("\nWritten to {}/pool-1.json{}\n", safe(options.output),
                                pools->pools.size() > 1 ? fmt::format(" to pool-{}.json", pools->pools.size()) : "");
        }
        json = pools_json(*pools, *fleet);
    }
    const auto ranked = fleet::rank_removals(*fleet, how->meet, how->values);
    const auto steps = fleet::removal_steps(*fleet, how->meet, how->values);
    json["removals"] = ranked ? removals_json(*ranked, *fleet) : nlohmann::json(nullptr);
    json["removal_steps"] = steps ? removals_json(*steps, *fleet) : nlohmann::json(nullptr);
    if ((explore || options.all) && ranked && steps && fleet->types.size() > 1) {
        told += "\n" + removals_text(*ranked, *steps, *fleet, view);
    }
    json["nodes"] = fleet->node_count();
    json["unreadable"] = gathered->fault_count;
    json["cut"] = gathered->cut_count;
    if (auto written = write_standard_output(options.json ? to_text(json) : told); !written) {
        return std::unexpected(written.error());
    }
    return gathered->fault_count > 0 ? exit_code(ErrorKind::usage) : 0;
}

CLI::Option* add_list(CLI::App& app, const std::string& name, std::vector<std::string>& list, const std::string& help) {
    return app.add_option(name, list, help)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("NODE", options->nodes, kNodesHelp)->required()->type_name("NODE");
    app.add_option("--pools", options->pools, "At most so many pools")->type_name("K")->check([](const std::string& text) {
        const auto number = parse_decimal(text);
        return number && *number > 0 ? std::string{} : "the number of pools is 1 or more, not " + safe(text);
    });
    app.add_option("--lose-at-most", options->lose_at_most,
                   "As few pools as it takes for no node to lose more than N of the features that it could show alone")
        ->type_name("N");
    add_list(app, "--never-lose", options->never_lose, "No node that could show one of these features loses it")
        ->type_name("NAME,...");
    add_list(app, "--lose-only", options->lose_only, "No node loses any other feature than these")
        ->type_name("NAME,...");
    add_list(app, "--value", options->value, "What a feature is worth (1; 0 if only a kernel can use it)")
        ->type_name("NAME=N");
    app.add_option("--values", options->values, "The same for many, as JSON: {\"avx512f\": 10, \"others\": 1}")
        ->type_name("FILE");
    add_list(app, "--without", options->without, "What if these nodes were left out: names, or ranges like node[3-7]")
        ->type_name("NODE");
    add_list(app, "--with", options->with,
             "What if there were this machine, or COUNT of them: a file or a model's name")
        ->type_name("MODEL[:COUNT]");
    app.add_option("-o,--output", options->output, "Write each pool's level to this folder: pool-1.json, ...")
        ->type_name("FOLDER");
    app.add_option("--name", options->name, "What the levels' names begin with (pool)")->type_name("NAME");
    add_list(app, "--allow", options->allow, "Show this feature although it does not survive a move")
        ->type_name("FEATURE");
    app.add_flag("--accept-unmaskable", options->accept_unmaskable,
                 "Let nodes be together that differ in what nothing can hide (arm64: PAC, BTI, CTR_EL0)");
    app.add_flag("--keep-going", options->keep_going, "Go on without what cannot be read; the exit status is then 2");
    app.add_flag("--json", options->json, "Print JSON instead of tables");
    app.add_flag("--all", options->all, "Every feature by name, and what holds the level down");
    return [options](const Invocation&) { return run_pools(*options); };
}

const Registration kRegistration(
    {.name = "pools",
     .order = 35,
     .summary = "Cut a fleet into groups with a level each, which keep the most",
     .details =
         "One level for all is what the weakest nodes have. With several, each node keeps more: the partition is "
         "made that keeps the most, counted over all nodes (feature values can be given). Without --pools and "
         "without a limit, it is shown what each number of pools would keep, and which nodes hold the level down.",
     .examples = "  cpulevel pools nodes/                           what would 1, 2, 3 pools keep?\n"
                 "  cpulevel pools nodes/ --pools 3 -o levels/\n"
                 "  cpulevel pools nodes/ --never-lose avx2,aes     as few pools as that takes\n"
                 "  cpulevel pools nodes/ --without node[1-9] --with zen4:100\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
