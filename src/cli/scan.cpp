// `cpulevel scan`: this machine's profile.
#include <memory>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/view.h"
#include "profile/probe.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string output;
    std::string name;
    bool json = false;
    bool all = false;
};

Result<int> scan(const Options& options) {
    auto probed = profile::probe_this_machine();
    if (!probed) return std::unexpected(probed.error());
    if (!options.name.empty()) probed->name = options.name;
    if (!options.output.empty()) {
        if (auto written = write_output(options.output, json_text(*probed)); !written) {
            return std::unexpected(written.error());
        }
        if (options.output == "-") return 0;
    }
    const std::string text =
        options.json ? json_text(*probed) : describe(*probed, View::of_standard_output(options.all));
    if (auto written = write_standard_output(text); !written) return std::unexpected(written.error());
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("-o,--output", options->output, "Also write the profile (JSON) to FILE")->type_name("FILE");
    app.add_option("--name", options->name, "How messages call this machine (its host name)")->type_name("NAME");
    app.add_flag("--json", options->json, "Print the profile as JSON instead of a table");
    app.add_flag("--all", options->all, "Show also the features that only a kernel can use");
    return [options](const Invocation&) { return scan(*options); };
}

const Registration kRegistration(
    {.name = "scan",
     .order = 10,
     .summary = "Describe this machine's CPU: make its profile",
     .details = "Asks every CPU (they may differ), the kernel and the auxiliary vector. Needs no privilege.",
     .examples = "  cpulevel scan                         a table for people\n"
                 "  cpulevel scan -o \"$(hostname).json\"   the profile, for `cpulevel baseline`\n"
                 "  ssh node7 cpulevel scan --json > node7.json\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
