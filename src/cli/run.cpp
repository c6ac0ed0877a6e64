// `cpulevel run`: a program, and all that it starts, under a level.
#include <memory>

#include "cli/command.h"
#include "cli/level_argument.h"
#include "cli/start_program.h"
#include "profile/probe.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string level = "x86-64-v2";
    std::string engine = "auto";
    bool no_patch = false;
    std::shared_ptr<StartOptions> start = std::make_shared<StartOptions>();
};

Result<int> run_levelled(const Options& options, const std::vector<std::string>& program) {
    if (program.empty()) {
        return usage_error("no program to run", {}, {}, "cpulevel run --level x86-64-v2 -- PROGRAM ARGUMENTS...");
    }
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    const auto level = level_argument(options.level, &*here);
    if (!level) return std::unexpected(level.error());
    const arch::CpuidDump host = here->cpus.empty() ? arch::CpuidDump{} : here->cpus.front().cpuid;
    const auto prepared = engine::ptrace::prepare(*level, host, options.start->run);
    if (!prepared) return std::unexpected(prepared.error());
    return start_program(*prepared, *options.start, program);
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("-l,--level", options->level, kLevelHelp)->capture_default_str();
    app.add_option("--engine", options->engine, "How the level is enforced")
        ->check(CLI::IsMember({"auto", "ptrace"}))
        ->capture_default_str();
    add_start_options(app, options->start);
    app.add_flag("--no-patch", options->no_patch, "Never change a program's text, also where CPUID faulting is missing");
    return [options](const Invocation& invocation) -> Result<int> {
        options->start->run.may_patch = !options->no_patch;
        return run_levelled(*options, invocation.program);
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
