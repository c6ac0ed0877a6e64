// `cpulevel run`: a program, and all that it starts, under a level.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "engine/ptrace/processes.h"
#include "engine/ptrace/run.h"
#include "profile/probe.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

namespace ptrace = engine::ptrace;

constexpr int kOwnFailure = 125;  // as env(1) and timeout(1)
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

struct Options {
    std::string level = "x86-64-v2";
    std::string engine = "auto";
    std::string on_supervisor_death = "kill";
    bool require_full = false;
    bool no_patch = false;
    ptrace::RunOptions run;
};

// Says what is not covered; an error if that is not acceptable.
Result<void> tell_coverage(const engine::Coverage& coverage, const Options& options) {
    std::string missing;
    for (const engine::Channel& channel : coverage) {
        if (channel.state == engine::ChannelState::full) continue;
        if (!missing.empty()) missing += "; ";
        missing += fmt::format("{}: {} ({})", channel.name, engine::name(channel.state), channel.why);
    }
    if (missing.empty()) return {};
    if (options.require_full) {
        return machine_error("not everything can be covered here", "", missing,
                             "`cpulevel check` tells what is missing; without --require-full the program starts");
    }
    print_warning(missing);
    return {};
}

Result<int> run_program(const Options& options, const std::vector<std::string>& program) {
    if (program.empty()) {
        return usage_error("no program to run", {}, {}, "cpulevel run --level x86-64-v2 -- PROGRAM ARGUMENTS...");
    }
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    const auto level = level_argument(options.level, &*here);
    if (!level) return std::unexpected(level.error());
    const arch::CpuidDump host = here->cpus.empty() ? arch::CpuidDump{} : here->cpus.front().cpuid;
    const auto prepared = ptrace::prepare(*level, host, options.run);
    if (!prepared) return std::unexpected(prepared.error());
    if (const auto told = tell_coverage(prepared->coverage, options); !told) return std::unexpected(told.error());

    const auto outcome = ptrace::run(*prepared, options.run, program);
    if (!outcome) return std::unexpected(outcome.error());
    if (outcome->exec_errno != 0) {
        const bool absent = outcome->exec_errno == ENOENT;
        print_error({ErrorKind::usage, "cannot execute", program[0], outcome->exec_errno, {},
                     absent ? "is it installed, and in PATH?" : ""});
        return absent ? kNotFound : kNotExecutable;
    }
    if (outcome->died_of != 0) ptrace::die_of(outcome->died_of);
    return outcome->exit_status;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("-l,--level", options->level, kLevelHelp)->capture_default_str();
    app.add_option("--engine", options->engine, "How the level is enforced")
        ->check(CLI::IsMember({"auto", "ptrace"}))
        ->capture_default_str();
    app.add_flag("-v,--verbose", options->run.verbose, "Say on standard error what each exec was shown");
    app.add_option("--report", options->run.report_path, "Write what was done to FILE, as JSON")->type_name("FILE");
    app.add_flag("--require-full", options->require_full, "Do not start the program if a channel cannot be covered fully");
    app.add_option("--on-supervisor-death", options->on_supervisor_death,
                   "If the supervisor dies: kill the tree, or let it go on without it")
        ->check(CLI::IsMember({"kill", "continue"}))
        ->capture_default_str();
    app.add_flag("--no-patch", options->no_patch, "Never change a program's text, also where CPUID faulting is missing");
    return [options](const Invocation& invocation) -> Result<int> {
        options->run.may_patch = !options->no_patch;
        if (options->on_supervisor_death == "continue") {
            options->run.on_supervisor_death = ptrace::OnSupervisorDeath::leave_tree;
        }
        return run_program(*options, invocation.program);
    };
}

const Registration kRegistration({
    .name = "run",
    .order = 60,
    .summary = "Run a program, and all that it starts, under a level",
    .details = "The program sees the level's features only: in its auxiliary vector and through CPUID, from its first "
               "instruction on and through every exec. Exits as the program does; 125 if cpulevel itself fails, 126 "
               "if the program cannot be executed, 127 if it is not found.",
    .examples = "  cpulevel run --level x86-64-v2 -- ./server --port 8080\n"
                "  cpulevel run --level level.json -- make test\n"
                "  cpulevel run --level x86-64-v3 --report run.json -- python3 job.py",
    .takes_program = true,
    .failure_status = kOwnFailure,
    .setup = setup,
});

}  // namespace

}  // namespace cpulevel::cli
