// What `run` and `inherit` share: their common options, what is said before the program starts, and its exit status.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "engine/kernel/kernel.h"
#include "engine/ptrace/run.h"
#include "util/error.h"

namespace cpulevel::cli {

// Exit status of both when cpulevel itself fails, as with env(1) and timeout(1).
inline constexpr int kOwnFailure = 125;

struct StartOptions {
    engine::ptrace::RunOptions run;
    std::string on_supervisor_death = "kill";
    bool require_full = false;
};

void add_start_options(CLI::App& app, const std::shared_ptr<StartOptions>& options);

// Starts the program under the preparation, says what cannot be covered, and gives its exit status; where a signal
// ended the program, ends this process by the same one.
[[nodiscard]] Result<int> start_program(const engine::ptrace::Preparation& preparation, const StartOptions& options,
                                        const std::vector<std::string>& program);

// The same without a supervisor: this process becomes the program, and returns only on failure.
[[nodiscard]] Result<int> become_program(const engine::kernel::Preparation& preparation, const StartOptions& options,
                                         const std::vector<std::string>& program);

}  // namespace cpulevel::cli
