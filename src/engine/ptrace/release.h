// `cpulevel release` as a library: asks the supervisor of a tree to let it go (let_go.h says what that does).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/ptrace/let_go.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

struct ReleaseReport {
    pid_t supervisor = 0;
    std::string level;
    bool left_stopped = false;
    bool already = false;             // it had let go before; `done` is empty then
    bool supervisor_waits = false;    // it stays, and takes the tree up again when asked; false: it has ended
    LetGo done;                       // process ids as the supervisor sees them
    std::vector<std::string> unlevelled;  // what is not levelled any more, in sentences
};

// `pid`: any process or thread of the tree, its supervisor, or its front. On error nothing has changed, or the error says
// what is where.
[[nodiscard]] Result<ReleaseReport> release(pid_t pid, const LetGoOptions& options);

}  // namespace cpulevel::engine::ptrace
