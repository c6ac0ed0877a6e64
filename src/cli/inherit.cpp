// `cpulevel inherit`: a program on what looks like a kernel that hands a changed auxiliary vector on through execve.
#include <memory>

#include "cli/command.h"
#include "cli/start_program.h"

namespace cpulevel::cli {

namespace {

Action setup(CLI::App& app) {
    auto options = std::make_shared<StartOptions>();
    add_start_options(app, options);
    return [options](const Invocation& invocation) -> Result<int> {
        if (invocation.program.empty()) {
            return usage_error("no program to run", {}, {}, "cpulevel inherit -- PROGRAM ARGUMENTS...");
        }
        return start_program(engine::ptrace::prepare_inheritance(), *options, invocation.program);
    };
}

const Registration kRegistration({
    .name = "inherit",
    .order = 65,
    .summary = "Run a program whose own changes to its HWCAPs reach the programs it starts",
    .details = "No level is imposed. A process of the tree that replaces its auxiliary vector by prctl (PR_SET_MM_AUXV or "
               "PR_SET_MM_MAP) hands its HWCAP words on to every program that it and its children execute, as Linux "
               "would with the series \"exec: inherit HWCAPs from the parent process\". Exit status as with run.",
    .examples = "  cpulevel inherit -- ./restore-and-exec",
    .takes_program = true,
    .failure_status = kOwnFailure,
    .setup = setup,
});

}  // namespace

}  // namespace cpulevel::cli
