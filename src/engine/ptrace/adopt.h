// `cpulevel adopt` as a library: a running tree comes under a level, by a new supervisor or by the one that has let it go
// (take_up.h says what that does).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/ptrace/run.h"
#include "engine/ptrace/take_up.h"
#include "engine/registry.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

struct AdoptReport {
    pid_t supervisor = 0;
    std::string level;
    bool by_waiting_supervisor = false;
    bool already = false;  // it levelled the tree already; `done` is empty then
    TakenUp done;          // process ids as the supervisor sees them
    Coverage coverage;
    std::vector<std::string> stays;  // what programs have found out before and keep, in sentences
};

// By a new supervisor, which runs on in the background, in a session of its own, for as long as the tree lives.
[[nodiscard]] Result<AdoptReport> adopt(const Preparation& preparation, const RunOptions& run, const TakeUpOptions& options);

// By the supervisor of this tree, which has let it go and waits (TreeView::state). `leave_stopped`: what is stopped stays so.
[[nodiscard]] Result<AdoptReport> ask_to_adopt(const TreeView& tree, bool leave_stopped, std::chrono::milliseconds patience);

// What programs keep that were started without the level.
[[nodiscard]] std::vector<std::string> stays_after(const TakenUp& done);

}  // namespace cpulevel::engine::ptrace
