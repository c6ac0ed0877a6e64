// `cpulevel restore`: a checkpoint goes on here, under its level.
#include <fmt/format.h>
#include <sys/wait.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "checkpoint/dump.h"
#include "cli/command.h"
#include "cli/criu_options.h"
#include "cli/output.h"
#include "cli/view.h"
#include "engine/ptrace/mirror.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string folder;
    unsigned timeout = 30;
    bool json = false;
    checkpoint::RestoreSetup restore;
};

nlohmann::json to_json(const checkpoint::RestoreReport& report) {
    nlohmann::json trees = nlohmann::json::array();
    for (std::size_t i = 0; i < report.trees.size(); ++i) {
        nlohmann::json tree = tree_json(report.record.trees[i]);
        tree["supervisor"] = report.trees[i].supervisor;
        tree["cpuid_in_memory"] = report.trees[i].done.jumps;
        tree["cpuid_traps"] = report.trees[i].done.traps;
        tree["verified_by_asking"] = report.trees[i].done.answers;
        tree["still_stopped"] = report.trees[i].done.still_stopped;
        tree["stays"] = report.trees[i].stays;
        trees.push_back(std::move(tree));
    }
    return {{"schema", "cpulevel/restore/1"},   {"root", report.root},         {"criu", report.criu_version},
            {"from", report.record.node.name},  {"cautions", report.cautions}, {"trees", std::move(trees)},
            {"in_front", report.job != nullptr}};
}

std::string to_text_for_people(const checkpoint::RestoreReport& report) {
    std::string text = fmt::format("Restored: process {}, dumped on {}, {}.\n", report.root,
                                   safe(report.record.node.name), safe(report.record.created));
    for (const engine::ptrace::AdoptReport& tree : report.trees) {
        if (tree.already) {
            text += fmt::format("Supervisor {} levels it, to {}: every thread is supervised.\n", tree.supervisor,
                                safe(tree.level));
            continue;
        }
        text += fmt::format("Level {}, by supervisor {}: {} process{} with {}; every thread is supervised.\n",
                            safe(tree.level), tree.supervisor, tree.done.processes.size(),
                            tree.done.processes.size() == 1 ? "" : "es", plural(tree.done.threads, "thread"));
        text +=
            fmt::format("CPUID: {} answered from memory, {} by a stop; {} asked, and answered with the level.\n",
                        plural(tree.done.jumps, "instruction"), tree.done.traps, plural(tree.done.answers, "program"));
        if (!tree.done.still_stopped.empty())
            text += fmt::format("Still stopped: {}.\n", tree.done.still_stopped.size());
        for (const std::string& sentence : tree.stays) text += "Stays: " + safe(sentence) + ".\n";
    }
    if (report.at_terminal) {
        text += "It goes on at this terminal.\n";
    } else if (report.job) {
        text += "This command is the first process of its pid namespace, and stays until all that is restored has ended.\n";
    }
    return text;
}

Result<int> run(Options& options) {
    checkpoint::RestoreSetup& restore = options.restore;
    restore.patience = std::chrono::seconds(options.timeout);
    restore.progress = progress_on_terminal();
    restore.criu.script = own_path();
    auto folder = images_folder(options.folder);
    if (!folder) return std::unexpected(folder.error());
    restore.folder = std::move(*folder);
    auto report = checkpoint::restore(restore);
    if (!report) return std::unexpected(report.error());
    for (const std::string& caution : report->cautions) print_warning(safe(caution));
    for (const engine::ptrace::AdoptReport& tree : report->trees) {
        for (const std::string& problem : tree.done.problems) print_warning("not covered: " + safe(problem));
    }
    const std::string text = options.json ? to_text(to_json(*report)) : to_text_for_people(*report);
    tell_what_was_done(text);
    if (!report->job) return 0;
    // Somebody who does not hear of it does not want it ended.
    const int status = report->job->mirror(report->root, report->trees.front().supervisor, report->at_terminal);
    report->job.reset();
    if (WIFSIGNALED(status)) engine::ptrace::die_of(WTERMSIG(status));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("DIR", options->folder,
                   "The folder that `cpulevel dump`, or CRIU with the action script, has written")
        ->required()
        ->type_name("DIR");
    app.add_flag("--leave-stopped", options->restore.leave_stopped, "Levelled, but left stopped: SIGCONT has it go on");
    app.add_flag("--force", options->restore.force,
                 "Restore also where this machine may not take it: programs can die, or go wrong silently");
    app.add_option("--timeout", options->timeout, "Give up when the tree cannot be brought under its level in SECONDS")
        ->type_name("SECONDS")
        ->check(CLI::Range(1U, 3600U).description(""))
        ->capture_default_str();
    add_criu_options(app, options->restore.criu);
    app.add_flag("--json", options->json, "Print JSON instead of text");
    return [options](const Invocation&) { return run(*options); };
}

const Registration kRegistration(
    {.name = "restore",
     .order = 85,
     .summary = "Restore a checkpoint of a levelled tree, under its level",
     .details =
         "Compares the checkpoint with this machine and refuses with names where it may not go on here; has "
         "CRIU restore it, stopped; "
         "puts it under its level, checks that every thread is, and lets it go on. No instruction of it runs "
         "before that. What uses the terminal of this command becomes its job: it stays until that ends, and ends "
         "as that; so it does as the first process of a pid namespace (unshare -p -f), which ends with it. Else the exit "
         "status is "
         "0 restored; 1 it may not come here; 2 no checkpoint, or damaged; 3 CRIU could not, or the level could "
         "not be enforced.",
     .examples = "  cpulevel restore /srv/checkpoint\n"
                 "  unshare -p -f --mount-proc cpulevel restore /srv/checkpoint    where its process numbers are taken",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
