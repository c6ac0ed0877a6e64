// `cpulevel export`: a level in the words of another tool.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/knobs.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "level/export/export.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string level;
    std::string format;
    std::string output;
    std::string glibc;
    std::vector<std::string> versions;
    bool absolute = false;
    bool list = false;
    bool json = false;
    bool quiet = false;
};

std::string format_choices() {
    std::vector<std::string> names;
    for (const level::Format& format : level::formats()) names.emplace_back(format.name);
    return "FORMAT {" + join(names, ",") + "}";
}

Result<void> add_version(level::ExportOptions& options, std::string_view tool, std::string_view text) {
    const auto version = level::parse_version(text);
    if (!version) return usage_error("not a version", safe(std::string(text)), {}, "as in --for glibc=2.31");
    options.versions[std::string(tool)] = *version;
    return {};
}

Result<level::ExportOptions> export_options(const Options& options) {
    level::ExportOptions result = export_options_here();
    result.absolute = options.absolute;
    for (const std::string& word : options.versions) {
        const auto equals = word.find('=');
        if (equals == std::string::npos) return usage_error("not TOOL=VERSION", safe(word), {}, "as in --for go=1.21");
        const auto added = add_version(result, word.substr(0, equals), word.substr(equals + 1));
        if (!added) return std::unexpected(added.error());
    }
    if (!options.glibc.empty()) {
        if (const auto added = add_version(result, "glibc", options.glibc); !added)
            return std::unexpected(added.error());
    }
    return result;
}

std::string json_of(const level::Export& made, const level::Level& level, const std::string& format) {
    const arch::FeatureTable& table = arch::table(level.architecture);
    nlohmann::json environment = nlohmann::json::object();
    for (const level::Setting& setting : made.environment) environment[setting.name] = setting.value;
    nlohmann::json json = {{"format", format},
                           {"level", level.name},
                           {"architecture", arch::name(level.architecture)},
                           {"text", made.text},
                           {"environment", std::move(environment)},
                           {"cannot_hide", level::names(table, made.cannot_hide)},
                           {"cannot_show", level::names(table, made.cannot_show)},
                           {"for_kernel", level::names(table, made.for_kernel)},
                           {"notes", made.notes}};
    if (made.version != level::Version{}) json["version"] = level::to_text(made.version);
    return to_text(json);
}

// To standard error, so that the text can be piped.
void tell(const level::Export& made, const level::Level& level) {
    const arch::FeatureTable& table = arch::table(level.architecture);
    if (!made.cannot_hide.empty()) {
        print_warning("hidden by the level, and the tool cannot be told: " +
                      join(level::names(table, made.cannot_hide), " "));
    }
    if (!made.cannot_show.empty()) {
        print_warning("shown by the level, and the tool is not told: " +
                      join(level::names(table, made.cannot_show), " "));
    }
    if (!made.for_kernel.empty()) {
        print_warning("shown beyond the level, for the guest's kernel: " +
                      join(level::names(table, made.for_kernel), " "));
    }
    for (const std::string& note : made.notes) print_warning(note);
}

Result<int> list_formats(bool json) {
    const View view = View::of_standard_output(false);
    nlohmann::json list = nlohmann::json::array();
    Table rows({"format", "for", "what"}, 0);
    for (const level::Format& format : level::formats()) {
        std::vector<std::string> architectures;
        for (const arch::Architecture one : arch::architectures()) {
            const auto known = level::formats_for(one);
            if (std::ranges::find(known, format.name) != known.end()) architectures.emplace_back(arch::name(one));
        }
        list.push_back({{"format", format.name}, {"architectures", architectures}, {"summary", format.summary}});
        rows.add_row({std::string(format.name), join(architectures, ", "), std::string(format.summary)});
    }
    const std::string text = json ? to_text({{"formats", std::move(list)}}) : rows.text(view.style, view.width);
    if (auto written = write_standard_output(text); !written) return std::unexpected(written.error());
    return 0;
}

Result<int> export_to(const Options& options) {
    if (options.list) return list_formats(options.json);
    if (options.level.empty()) return usage_error("no level", {}, {}, "cpulevel export x86-64-v2 --to glibc");
    if (options.format.empty())
        return usage_error("no format", {}, {}, "--to FORMAT; `cpulevel export --list` lists them");
    const auto level = level_argument(options.level);
    if (!level) return std::unexpected(level.error());
    const auto how = export_options(options);
    if (!how) return std::unexpected(how.error());
    const auto made = level::export_level(*level, options.format, *how);
    if (!made) return std::unexpected(made.error());
    if (!options.quiet && !options.json) tell(*made, *level);
    const std::string text = options.json ? json_of(*made, *level, options.format) : made->text;
    if (auto written = write_output(options.output, text); !written) return std::unexpected(written.error());
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("LEVEL", options->level, kLevelHelp)->type_name("LEVEL");
    app.add_option("--to", options->format, "The tool (--list: all of them)")->type_name(format_choices());
    app.add_option("-o,--output", options->output, "Write to FILE, whole or not at all")->type_name("FILE");
    app.add_option("--glibc", options->glibc, "glibc's version (that of this machine): only names that it knows")
        ->type_name("VERSION");
    app.add_option("--for", options->versions, "Another tool's version, as go=1.21; may be repeated")
        ->type_name("TOOL=VERSION")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_flag("--absolute", options->absolute, "OPENSSL_ia32cap: the values themselves instead of masks");
    app.add_flag("-q,--quiet", options->quiet, "Do not say on standard error what the tool cannot be told");
    app.add_flag("--list", options->list, "List the formats");
    app.add_flag("--json", options->json, "The text, the variables, and what cannot be told, as JSON");
    return [options](const Invocation&) { return export_to(*options); };
}

const Registration kRegistration(
    {.name = "export",
     .order = 45,
     .summary = "Say a level in the words of another tool",
     .details = "Environment variables, compiler options, virtual CPUs, labels. What the tool cannot be told is listed "
                "on standard "
                "error, or with --json. Nothing that the level hides is ever turned on.",
     .examples =
         "  cpulevel export fleet.json --to env > fleet.sh\n"
         "  cpulevel export x86-64-v2 --to glibc --glibc 2.31\n"
         "  gcc $(cpulevel export -q fleet.json --to gcc) -O2 -c job.c\n"
         "  qemu-system-x86_64 -cpu \"$(cpulevel export -q fleet.json --to qemu)\" ...\n"
         "  cpulevel export fleet.json --to nfd -o /etc/kubernetes/node-feature-discovery/features.d/cpulevel\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
