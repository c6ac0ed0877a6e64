// `cpulevel show`: any of our files, a named level, or the features that we know, as a table.
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "arch/feature.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/fleet_argument.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "cli/view_types.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string what;
    std::string architecture = "x86_64";
    bool features = false;
    bool levels = false;
    bool json = false;
    bool all = false;
};

Result<arch::Architecture> architecture_argument(const std::string& word) {
    if (const auto found = arch::find_architecture(word)) return *found;
    std::vector<std::string> names;
    for (const arch::Architecture one : arch::architectures()) names.emplace_back(arch::name(one));
    std::string hint = did_you_mean(word, names);
    return usage_error("unknown architecture", safe(word), {}, hint.empty() ? "known: " + join(names, ", ") : hint);
}

std::string place_text(const arch::Feature& feature) {
    constexpr std::string_view registers[] = {"eax", "ebx", "ecx", "edx"};
    std::vector<std::string> places;
    for (const arch::CpuidPlace& place : feature.cpuid) {
        places.push_back(fmt::format("{:x}.{:x}:{}[{}]", place.leaf, place.subleaf,
                                     registers[static_cast<std::size_t>(place.reg)], place.bit));
    }
    for (const arch::HwcapPlace& place : feature.hwcap) {
        places.push_back(
            fmt::format("AT_HWCAP{}[{}]", place.word == 0 ? "" : fmt::format("{}", place.word + 1), place.bit));
    }
    return join(places, " ");
}

std::vector<std::string> needs_of(const arch::FeatureTable& table, const arch::Feature& feature) {
    std::vector<std::string> needs;
    for (const arch::FeatureId id : feature.needs) needs.emplace_back(table[id].name);
    return needs;
}

nlohmann::json features_json(const arch::FeatureTable& table) {
    nlohmann::json list = nlohmann::json::array();
    for (const arch::Feature& feature : table.features()) {
        list.push_back({{"name", feature.name},
                        {"aliases", std::vector<std::string>(feature.aliases.begin(), feature.aliases.end())},
                        {"title", feature.title},
                        {"group", feature.group},
                        {"places", place_text(feature)},
                        {"rule", arch::name(feature.rule)},
                        {"needs", needs_of(table, feature)},
                        {"user", feature.user},
                        {"why", feature.why},
                        {"source", feature.source}});
    }
    return {{"architecture", arch::name(table.architecture())}, {"features", std::move(list)}};
}

std::string features_text(const arch::FeatureTable& table, const View& view) {
    Table rows({"feature", "group", "where", "what; what it needs"}, 0);
    for (const arch::Feature& feature : table.features()) {
        if (!feature.user && !view.all) continue;
        std::string what(feature.title);
        if (!feature.needs.empty()) what += "; needs " + join(needs_of(table, feature), ", ");
        if (feature.rule == arch::Rule::Never) what += "; never shown: " + std::string(feature.why);
        const std::string first = place_text(feature);
        rows.add_row({std::string(feature.name), std::string(feature.group), first.substr(0, first.find(' ')), what});
    }
    return rows.text(view.style, view.width);
}

nlohmann::json levels_json() {
    nlohmann::json list = nlohmann::json::array();
    for (const arch::Architecture architecture : arch::architectures()) {
        for (const arch::NamedLevel& level : arch::table(architecture).levels()) {
            list.push_back(
                {{"name", level.name}, {"architecture", arch::name(architecture)}, {"source", level.source}});
        }
    }
    return {{"levels", std::move(list)}};
}

std::string levels_text(const View& view) {
    Table rows({"level", "architecture", "features", "source"}, 0);
    rows.align(2, Align::right);
    for (const arch::Architecture architecture : arch::architectures()) {
        for (const arch::NamedLevel& level : arch::table(architecture).levels()) {
            rows.add_row({std::string(level.name), std::string(arch::name(architecture)),
                          fmt::format("{}", level.features.size()), std::string(level.source)});
        }
    }
    return rows.text(view.style, view.width);
}

// A description of one machine or a level, by file or name; or what is in a folder, an archive or a listing.
Result<std::vector<Document>> documents_argument(const std::string& word) {
    auto document = read_document(word);
    if (document) return std::vector{*std::move(document)};
    struct stat status{};
    const bool there = word != "-" && ::stat(word.c_str(), &status) == 0;
    if (!there) {
        if (document.error().errno_value == 0) return std::unexpected(document.error());
        auto level = level_argument(word);
        if (level) return std::vector<Document>{*std::move(level)};
        return std::unexpected(word.find('/') != std::string::npos ? document.error() : level.error());
    }
    const auto gathered = fleet_arguments({word}, false);
    if (!gathered) return std::unexpected(gathered.error());
    if (gathered->type_of.size() > kMostSingly) {
        return usage_error("too many nodes to show", safe(word), nodes_count(gathered->type_of.size()),
                           "`cpulevel baseline` shows what they have in common, `cpulevel pools` how they differ");
    }
    std::vector<Document> documents;
    for (profile::NodeProfile& node : nodes_to_meet(*gathered)) documents.emplace_back(std::move(node));
    return documents;
}

std::string documents_text(const std::vector<Document>& documents, const Options& options, const View& view) {
    const auto text = [&](const Document& document) {
        return std::visit([&](const auto& value) { return options.json ? json_text(value) : describe(value, view); },
                          document);
    };
    if (documents.size() == 1) return text(documents.front());
    std::string all;
    nlohmann::json list = nlohmann::json::array();
    for (const Document& document : documents) {
        if (options.json) {
            list.push_back(nlohmann::json::parse(text(document)));
        } else {
            all += (all.empty() ? "" : "\n") + text(document);
        }
    }
    return options.json ? to_text(list) : all;
}

Result<std::string> text_of(const Options& options) {
    const View view = View::of_standard_output(options.all);
    if (options.levels) return options.json ? to_text(levels_json()) : levels_text(view);
    if (options.features) {
        const auto architecture = architecture_argument(options.architecture);
        if (!architecture) return std::unexpected(architecture.error());
        const arch::FeatureTable& table = arch::table(*architecture);
        return options.json ? to_text(features_json(table)) : features_text(table, view);
    }
    if (options.what.empty()) {
        return usage_error("nothing to show", {}, {}, "name a file or a level, or give --features or --levels");
    }
    const auto documents = documents_argument(options.what);
    if (!documents) return std::unexpected(documents.error());
    return documents_text(*documents, options, view);
}

Result<int> show(const Options& options) {
    const auto text = text_of(options);
    if (!text) return std::unexpected(text.error());
    if (auto written = write_standard_output(*text); !written) return std::unexpected(written.error());
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("WHAT", options->what,
                   "A profile, a foreign description, a level file, or a level's name; also a folder or archive of a "
                   "few; - is standard input")
        ->type_name("LEVEL");
    app.add_flag("--features", options->features, "List the features that this version knows");
    app.add_flag("--levels", options->levels, "List the named levels");
    app.add_option("--arch", options->architecture, "With --features: of this architecture (x86_64)")
        ->type_name("ARCH");
    app.add_flag("--json", options->json, "Print JSON instead of a table");
    app.add_flag("--all", options->all, "Show also the features that only a kernel can use");
    return [options](const Invocation&) { return show(*options); };
}

const Registration kRegistration(
    {.name = "show",
     .order = 50,
     .summary = "Show a profile, a level, or the known features as a table",
     .details = {},
     .examples = "  cpulevel show node7.json\n"
                 "  cpulevel show x86-64-v3                 what a named level contains\n"
                 "  cpulevel show x86-64-v2+aes --json      as the file `run --level` takes\n"
                 "  cpulevel show --features --arch aarch64\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
