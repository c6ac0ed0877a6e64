#include "cli/start_program.h"

#include <fmt/format.h>

#include <cerrno>

#include "cli/output.h"
#include "engine/ptrace/mirror.h"

namespace cpulevel::cli {

namespace {

namespace ptrace = engine::ptrace;

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// Says what is not covered; an error if that is not acceptable.
Result<void> tell_coverage(const engine::Coverage& coverage, bool require_full) {
    std::string missing;
    for (const engine::Channel& channel : coverage) {
        if (channel.state == engine::ChannelState::full) continue;
        if (!missing.empty()) missing += "; ";
        missing += fmt::format("{}: {} ({})", channel.name, engine::name(channel.state), channel.why);
    }
    if (missing.empty()) return {};
    if (require_full) {
        return machine_error("not everything can be covered here", "", missing,
                             "`cpulevel check` tells what is missing; without --require-full the program starts");
    }
    print_warning(missing);
    return {};
}

int tell_exec_failure(const std::string& program, int error) {
    const bool absent = error == ENOENT;
    print_error({ErrorKind::usage, "cannot execute", program, error, {}, absent ? "is it installed, and in PATH?" : ""});
    return absent ? kNotFound : kNotExecutable;
}

}  // namespace

void add_start_options(CLI::App& app, const std::shared_ptr<StartOptions>& options) {
    app.add_flag("-v,--verbose", options->run.verbose, "Say on standard error what each exec was shown");
    app.add_option("--report", options->run.report_path, "Write what was done to FILE, as JSON")->type_name("FILE");
    app.add_flag("--require-full", options->require_full, "Do not start the program if a channel cannot be covered fully");
    app.add_option("--on-supervisor-death", options->on_supervisor_death,
                   "If the supervisor dies: kill the tree, or let it go on without it (what is just starting then may still die)")
        ->check(CLI::IsMember({"kill", "continue"}))
        ->capture_default_str();
}

Result<int> start_program(const ptrace::Preparation& preparation, const StartOptions& options,
                          const std::vector<std::string>& program) {
    ptrace::RunOptions run_options = options.run;
    if (options.on_supervisor_death == "continue") {
        run_options.on_supervisor_death = ptrace::OnSupervisorDeath::leave_tree;
    }
    run_options.kill_uncovered = options.require_full;
    if (const auto told = tell_coverage(preparation.coverage, options.require_full); !told) {
        return std::unexpected(told.error());
    }
    const auto outcome = ptrace::run(preparation, run_options, program);
    if (!outcome) return std::unexpected(outcome.error());
    for (const std::string& problem : outcome->problems) print_warning(problem);
    if (outcome->exec_errno != 0) return tell_exec_failure(program[0], outcome->exec_errno);
    if (outcome->died_of != 0) ptrace::die_of(outcome->died_of);
    return outcome->exit_status;
}

Result<int> become_program(const engine::kernel::Preparation& preparation, const StartOptions& options,
                           const std::vector<std::string>& program) {
    if (const auto told = tell_coverage(preparation.coverage, options.require_full); !told) {
        return std::unexpected(told.error());
    }
    const auto exec_errno = engine::kernel::become(preparation, program);
    if (!exec_errno) return std::unexpected(exec_errno.error());
    return tell_exec_failure(program[0], *exec_errno);
}

}  // namespace cpulevel::cli
