// A restored tree comes under its level again, and that is verified: CRIU does not look at what its scripts achieve.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "checkpoint/record.h"
#include "engine/ptrace/adopt.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

// The supervisor waits for its tree, or has it already (after a restore it takes it up by itself).
[[nodiscard]] Result<engine::ptrace::AdoptReport> ask_waiting(pid_t supervisor, bool leave_stopped,
                                                              std::chrono::seconds patience);

// By a new supervisor. Refused where this machine cannot give the level.
[[nodiscard]] Result<engine::ptrace::AdoptReport> adopt_at(const level::Level& level,
                                                           const engine::ptrace::TakeUpOptions& options);

// All trees of the record, restored as `root` and what is below it. `leave_stopped`: what CRIU has left stopped stays
// so. `front`: who mirrors `root`, its parent (engine/ptrace/mirror.h).
[[nodiscard]] Result<std::vector<engine::ptrace::AdoptReport>> take_under(const Record& record, pid_t root,
                                                                          bool leave_stopped,
                                                                          std::chrono::seconds patience,
                                                                          pid_t front = 0);

}  // namespace cpulevel::checkpoint
