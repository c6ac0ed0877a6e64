// `cpulevel dump`: a levelled tree becomes a checkpoint, by CRIU.
#include <fmt/format.h>
#include <stdlib.h>  // setenv

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "checkpoint/dump.h"
#include "cli/command.h"
#include "cli/criu_options.h"
#include "cli/output.h"
#include "cli/view.h"
#include "cli/view_audit.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::int64_t pid = 0;
    std::string folder, target;
    double wait = -1;
    unsigned timeout = 10;
    bool json = false;
    checkpoint::DumpSetup dump;
};

nlohmann::json to_json(const checkpoint::DumpReport& report) {
    nlohmann::json trees = nlohmann::json::array();
    for (const checkpoint::LevelledTree& tree : report.record.trees) trees.push_back(tree_json(tree));
    nlohmann::json json{{"schema", "cpulevel/dump/1"}, {"root", report.root},
                        {"images", report.folder},     {"bytes", report.bytes},
                        {"criu", report.criu_version}, {"left_running", report.left_running},
                        {"trees", std::move(trees)}};
    if (report.record.audit)
        json["audit"] = {{"target", report.record.audit->target}, {"safe", report.record.audit->safe}};
    return json;
}

std::string to_text_for_people(const checkpoint::DumpReport& report) {
    std::string text;
    for (const checkpoint::LevelledTree& tree : report.record.trees) {
        text += fmt::format("Dumped: {} process{} with {} from {} on, level {}.\n", tree.processes,
                            tree.processes == 1 ? "" : "es", plural(tree.threads, "thread"), tree.root,
                            safe(tree.level.name));
    }
    text += fmt::format("Images: {} in {}.\n", byte_count(report.bytes), safe(report.folder));
    if (report.record.audit) {
        const checkpoint::Audit& audit = *report.record.audit;
        text += fmt::format("Audit, to {}: {}.\n", safe(audit.target), audit.safe ? "safe" : "not safe, or not known");
        for (const audit::Finding& finding : audit.findings) {
            text += fmt::format("  {}: {} {} {}\n", audit::name(finding.severity), safe(finding.process), finding.pid,
                                safe(finding.what));
        }
    }
    if (report.left_running) {
        text += report.let_go_before ? "It is here as it was, let go; `cpulevel adopt` takes it up.\n"
                                     : "It runs on here, levelled.\n";
    } else {
        text += fmt::format("It has ended here; `cpulevel restore {}` has it go on.\n", safe(report.folder));
    }
    return text;
}

// For the action script, which CRIU calls: it judges the images before CRIU lets go of the processes.
Result<void> tell_script(const Options& options) {
    ::unsetenv("CPULEVEL_CRIU_TO");
    ::unsetenv("CPULEVEL_CRIU_FORCE");
    if (options.dump.force) ::setenv("CPULEVEL_CRIU_FORCE", "1", 1);
    if (options.target.empty()) return {};
    if (options.target == "-")
        return usage_error("the target has to be a file or a name", "--to -", "it is read twice");
    std::error_code error;
    const bool is_file = std::filesystem::exists(options.target, error);
    ::setenv("CPULEVEL_CRIU_TO",
             is_file ? std::filesystem::absolute(options.target, error).c_str() : options.target.c_str(), 1);
    return {};
}

Result<int> run(Options& options) {
    checkpoint::DumpSetup& dump = options.dump;
    dump.pid = static_cast<pid_t>(options.pid);
    dump.version = CPULEVEL_VERSION;
    dump.criu.script = own_path();
    dump.patience = std::chrono::seconds(options.timeout);
    dump.progress = progress_on_terminal();
    auto folder = images_folder(options.folder);
    if (!folder) return std::unexpected(folder.error());
    dump.folder = std::move(*folder);
    if (options.wait >= 0 && options.target.empty())
        return usage_error("what to wait for?", "--wait", "it goes with --to");
    if (options.wait >= 0) dump.wait = std::chrono::milliseconds(static_cast<std::int64_t>(options.wait * 1000));
    if (const auto told = tell_script(options); !told) return std::unexpected(told.error());
    if (!options.target.empty()) {
        auto target = audit_target(options.target);
        if (!target) return std::unexpected(target.error());
        dump.target = std::move(*target);
    }
    const auto report = checkpoint::dump(dump);
    if (!report) return std::unexpected(report.error());
    const std::string text = options.json ? to_text(to_json(*report)) : to_text_for_people(*report);
    tell_what_was_done(text);
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("PID", options->pid, "A process of the tree, its supervisor, or `cpulevel run` itself")
        ->required()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{0x7fffffff}));
    app.add_option("-D,--images", options->folder, "The folder for the images; made, or empty")
        ->required()
        ->type_name("DIR");
    app.add_option("--to", options->target,
                   "Where it is to go; it is dumped only if it can go there: a machine's profile, or a level (any "
                   "machine of it)")
        ->type_name("LEVEL|PROFILE");
    app.add_option("--wait", options->wait,
                   "With --to: wait so long for threads to leave signal handlers that the target cannot take")
        ->check(CLI::Range(0.0, 86400.0).description(""))
        ->type_name("SECONDS");
    app.add_flag("--leave-running", options->dump.leave_running, "It goes on here as well, levelled as before");
    app.add_flag("--force", options->dump.force, "Dump also what cannot go to the target");
    app.add_option("--timeout", options->timeout, "Give up when the tree cannot be brought to a stop in SECONDS")
        ->type_name("SECONDS")
        ->check(CLI::Range(1U, 3600U).description(""))
        ->capture_default_str();
    add_criu_options(app, options->dump.criu);
    app.add_flag("--json", options->json, "Print JSON instead of text");
    return [options](const Invocation&) { return run(*options); };
}

const Registration kRegistration(
    {.name = "dump",
     .order = 84,
     .summary = "Checkpoint a levelled tree, by CRIU",
     .details = "Stops the tree and lets go of it, has CRIU write it to a folder, and puts cpulevel.json beside the "
                "images: the level, this "
                "machine, and what was found in the images. The tree has ended then; with --leave-running, and where "
                "anything fails, it goes "
                "on levelled. Exit status: 0 dumped; 1 it may not go there, or is in no levelled tree; 2 wrong usage; "
                "3 CRIU could not.",
     .examples = "  cpulevel dump 4711 --images /srv/checkpoint --to fleet.json\n"
                 "  cpulevel dump 4711 --images /srv/checkpoint --to other-host.json --wait 10 --leave-running",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
