// `cpulevel run` as a library: what this machine lets us cover, and the run itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/ptrace/policy.h"
#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

enum class OnSupervisorDeath : std::uint8_t { kill_tree, leave_tree };

struct RunOptions {
    bool verbose = false;
    std::string report_path;
    OnSupervisorDeath on_supervisor_death = OnSupervisorDeath::kill_tree;
    bool kill_uncovered = false;  // a program that cannot be covered does not start
    std::string site_cache;  // absolute path of a folder for what is found out about files (site_store.h); empty: none
    bool trap_only = false;  // nothing is answered from memory: each CPUID is a stop
    bool may_patch = true;  // false: no byte of a program's text is changed for longer than its start
};

struct Preparation {
    Policy policy;
    Coverage coverage;
    std::optional<level::Level> level;  // none: inheritance only
    bool may_patch = true;
    bool trap_only = false;
};

// Finds out by doing what can be covered here; `here` is what probe_this_machine() has found out already.
[[nodiscard]] Result<Preparation> prepare(const level::Level& level, const profile::NodeProfile& here,
                                          const RunOptions& options);

// The same once more, on a machine that may be another one by now. An error where this machine cannot give the level.
[[nodiscard]] Result<Preparation> prepare_again(const Preparation& before);

// For a tree that runs already and was started without the call filter: ARCH_SET_CPUID is its own affair there, and that is said.
void do_without_filter(Preparation& preparation);

// The level as text (level_json.h); empty where there is none.
[[nodiscard]] std::string level_text(const Preparation& preparation);

// For `cpulevel inherit`: nothing is imposed; what processes set by prctl is inherited.
[[nodiscard]] Preparation prepare_inheritance();

// Runs the program and returns when it has ended: its exit status as the shell has it (128+N for a signal); a
// signal also in `died_of`, for the caller to die of too.
struct RunOutcome {
    int exit_status = 0;
    int died_of = 0;
    std::vector<std::string> problems;  // programs that could not be covered
    int exec_errno = 0;  // why the program could not be executed
};
[[nodiscard]] Result<RunOutcome> run(const Preparation& preparation, const RunOptions& options,
                                     const std::vector<std::string>& command);

}  // namespace cpulevel::engine::ptrace
