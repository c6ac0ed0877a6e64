// `cpulevel release`: a tree is let go of, so that it can be checkpointed or debugged.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/view.h"
#include "engine/ptrace/release.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

namespace ptrace = engine::ptrace;

struct Options {
    std::int64_t pid = 0;
    bool leave_stopped = false;
    bool json = false;
    unsigned timeout = 10;
};

nlohmann::json to_json(const ptrace::ReleaseReport& report) {
    return {{"schema", "cpulevel/release/1"},
            {"supervisor", report.supervisor},
            {"supervisor_waits", report.supervisor_waits},
            {"level", report.level},
            {"already_released", report.already},
            {"left_stopped", report.left_stopped},
            {"processes", report.done.processes},
            {"threads", report.done.threads},
            {"stopped", report.done.stopped},
            {"stopped_before", report.done.stopped_before},
            {"cpuid_in_memory", report.done.jumps},
            {"cpuid_traps_removed", report.done.cpuid_traps},
            {"unlevelled", report.unlevelled}};
}

std::string to_text_for_people(const ptrace::ReleaseReport& report) {
    if (report.already) {
        return fmt::format("Supervisor {} has let the tree go already{}.\n", report.supervisor,
                           report.left_stopped ? ", and left it stopped" : "");
    }
    const std::size_t processes = report.done.processes.size();
    std::string text = fmt::format("Released: {} process{} with {}, level {}.\n", processes, processes == 1 ? "" : "es",
                                   plural(report.done.threads, "thread"), safe(report.level));
    if (report.left_stopped) {
        text += fmt::format("Stopped: {} (SIGSTOP; nothing of them runs until `cpulevel adopt` or SIGCONT).\n", report.done.stopped.size());
    }
    text += fmt::format("{} answered from memory, as before. Not levelled until the tree is adopted:\n",
                        plural(report.done.jumps, "CPUID instruction"));
    for (const std::string& sentence : report.unlevelled) text += "  - " + safe(sentence) + "\n";
    text += report.supervisor_waits
                ? fmt::format("Supervisor {} waits; `cpulevel adopt` has it take the tree up again.\n", report.supervisor)
                : fmt::format("Its supervisor {} has ended; `cpulevel adopt PID --level LEVEL` puts the tree under a new one.\n",
                              report.supervisor);
    return text;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("PID", options->pid, "A process of the tree, its supervisor, or `cpulevel run` itself")
        ->required()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{0x7fffffff}));
    app.add_flag("--leave-stopped", options->leave_stopped, "Leave every process stopped (SIGSTOP), before any instruction of it");
    app.add_option("--timeout", options->timeout, "Give up when the tree cannot be brought to a stop in SECONDS")
        ->type_name("SECONDS")
        ->check(CLI::Range(1U, 3600U).description(""))
        ->capture_default_str();
    app.add_flag("--json", options->json, "Print JSON instead of text");
    return [options](const Invocation&) -> Result<int> {
        const auto report = ptrace::release(static_cast<pid_t>(options->pid),
                                            {options->leave_stopped, std::chrono::seconds(options->timeout)});
        if (!report) return std::unexpected(report.error());
        const std::string text = options->json ? to_text(to_json(*report)) : to_text_for_people(*report);
        tell_what_was_done(text);
        return 0;
    };
}

const Registration kRegistration(
    {.name = "release",
     .order = 76,
     .summary = "Let a levelled tree go, so that it can be checkpointed or debugged",
     .details = "Stops every thread of the tree, takes out what needs the supervisor (traps over CPUID, CPUID faulting), and detaches "
                "from all. What answers from memory goes on doing so. All or nothing: where a step fails, everything is levelled "
                "as before.",
     .examples = "  cpulevel release 4711 --leave-stopped && criu dump -t 4711 --shell-job ...\n"
                 "  cpulevel release 4711; gdb -p 4711; cpulevel adopt 4711",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
