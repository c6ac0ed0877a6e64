// `cpulevel adopt`: a running tree comes under a level.
#include "engine/ptrace/adopt.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "profile/probe.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

namespace ptrace = engine::ptrace;

struct Options {
    std::int64_t pid = 0;
    std::string level;
    bool resume = false, leave_stopped = false;
    std::vector<pid_t> keep_stopped;
    bool json = false;
    unsigned timeout = 10;
    std::string on_supervisor_death = "kill";
    ptrace::RunOptions run;
    bool no_patch = false;
};

nlohmann::json to_json(const ptrace::AdoptReport& report) {
    nlohmann::json json{{"schema", "cpulevel/adopt/1"},
                        {"supervisor", report.supervisor},
                        {"waited", report.by_waiting_supervisor},
                        {"level", report.level},
                        {"already_levelled", report.already},
                        {"processes", report.done.processes},
                        {"threads", report.done.threads},
                        {"continued", report.done.continued},
                        {"still_stopped", report.done.still_stopped},
                        {"cpuid_in_memory", report.done.jumps},
                        {"cpuid_traps", report.done.traps},
                        {"cpuid_undecided", report.done.undecided},
                        {"verified_by_asking", report.done.answers},
                        {"told_more", report.done.told_more},
                        {"unprepared", report.done.unprepared},
                        {"stays", report.stays},
                        {"problems", report.done.problems},
                        {"coverage", nlohmann::json::array()}};
    for (const engine::Channel& channel : report.coverage) {
        json["coverage"].push_back({{"channel", channel.name}, {"state", engine::name(channel.state)}, {"why", channel.why}});
    }
    return json;
}

std::string to_text_for_people(const ptrace::AdoptReport& report) {
    if (report.already) return fmt::format("Supervisor {} levels this tree already, to {}.\n", report.supervisor, safe(report.level));
    const std::size_t processes = report.done.processes.size();
    std::string text = fmt::format("Adopted: {} process{} with {}, by supervisor {}, level {}.\n", processes, processes == 1 ? "" : "es",
                                   plural(report.done.threads, "thread"), report.supervisor, safe(report.level));
    text += fmt::format("CPUID: {} answered from memory, {} by a stop. Verified: {} asked, and answered with the level.\n",
                        plural(report.done.jumps, "instruction"), report.done.traps, plural(report.done.answers, "program"));
    if (!report.done.continued.empty()) text += fmt::format("Continued: {}.\n", report.done.continued.size());
    if (!report.done.still_stopped.empty()) text += fmt::format("Still stopped: {}.\n", report.done.still_stopped.size());
    for (const std::string& sentence : report.stays) text += "Stays: " + safe(sentence) + ".\n";
    return text;
}

Result<ptrace::AdoptReport> adopt_anew(const Options& options, const ptrace::TakeUpOptions& take_up) {
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    const auto level = level_to_give(options.level, *here);
    if (!level) return std::unexpected(level.error());
    ptrace::RunOptions run = options.run;
    run.may_patch = !options.no_patch;
    if (options.on_supervisor_death == "continue") run.on_supervisor_death = ptrace::OnSupervisorDeath::leave_tree;
    const auto prepared = ptrace::prepare(*level, *here, run);
    if (!prepared) return std::unexpected(prepared.error());
    return ptrace::adopt(*prepared, run, take_up);
}

Result<ptrace::AdoptReport> adopt(const Options& options) {
    const auto pid = static_cast<pid_t>(options.pid);
    const auto tree = engine::find_tree(pid);
    if (!tree) return std::unexpected(tree.error());
    const auto patience = std::chrono::seconds(options.timeout);
    if (*tree) {
        if (options.level.empty()) return ptrace::ask_to_adopt(**tree, options.leave_stopped, patience);
        const bool levelling = (*tree)->state == engine::TreeState::levelling;
        return std::unexpected(Error{ErrorKind::refused, levelling ? "this tree is levelled already" : "a supervisor waits for this tree",
                                     fmt::format("supervisor {}", (*tree)->supervisor), 0, "its level is " + safe((*tree)->level),
                                     levelling ? "release it first" : "without --level, it takes the tree up again at that level"});
    }
    if (options.level.empty()) {
        return usage_error("which level?", std::to_string(pid), "no supervisor waits for this tree", "cpulevel adopt PID --level LEVEL");
    }
    ptrace::TakeUpOptions take_up;
    take_up.root = pid;
    take_up.continue_stopped = options.resume;
    take_up.keep_stopped = options.keep_stopped;
    take_up.patience = patience;
    return adopt_anew(options, take_up);
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("PID", options->pid, "The first process of the tree")
        ->required()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{0x7fffffff}));
    auto* const level =
        app.add_option("-l,--level", options->level, std::string(kLevelHelp) + "; not needed where the tree's supervisor waits");
    app.add_flag("--continue", options->resume, "Continue what is stopped (after `release --leave-stopped` and a restore)");
    app.add_flag("--leave-stopped", options->leave_stopped, "Where the tree's supervisor waits: what it has left stopped stays so")
        ->excludes(level);
    app.add_option("--keep-stopped", options->keep_stopped, "Processes that stay stopped while all others are continued")->type_name("PID")->delimiter(',');
    app.add_option("--timeout", options->timeout, "Give up when the tree cannot be brought to a stop in SECONDS")
        ->type_name("SECONDS")
        ->check(CLI::Range(1U, 3600U).description(""))
        ->capture_default_str();
    app.add_option("--on-supervisor-death", options->on_supervisor_death, "If the supervisor dies: kill the tree, or let it go on without it")
        ->check(CLI::IsMember({"kill", "continue"}))
        ->capture_default_str();
    app.add_option("--report", options->run.report_path, "Write what was done to FILE when the tree has ended, as JSON")->type_name("FILE");
    app.add_flag("--no-patch", options->no_patch, "Never change a program's text, also where CPUID faulting is missing");
    app.add_flag("--json", options->json, "Print JSON instead of text");
    return [options](const Invocation&) -> Result<int> {
        const auto report = adopt(*options);
        if (!report) return std::unexpected(report.error());
        for (const std::string& problem : report->done.problems) print_warning("not covered: " + safe(problem));
        const std::string text = options->json ? to_text(to_json(*report)) : to_text_for_people(*report);
        tell_what_was_done(text);
        return 0;
    };
}

const Registration kRegistration(
    {.name = "adopt",
     .order = 77,
     .summary = "Put a running tree under a level, or back under it",
     .details = "For a tree that was released, that was restored from a checkpoint, or that was never levelled. Every thread is stopped, "
                "put under the level, checked, and goes on; children and programs that it executes are levelled from then on. "
                "What a program that was started without the level has looked up stays, and is said.",
     .examples = "  cpulevel adopt 4711                        its supervisor waits: the same level again\n"
                 "  cpulevel adopt 4711 --level fleet.json     after `criu restore`, or of a stranger",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
