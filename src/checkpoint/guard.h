// A process that stays when a script of CRIU ends, until CRIU itself ends: CRIU calls no script when a dump fails, and
// none behind --leave-running; and `cpulevel dump` can be killed. It is nobody's child, in a session of its own, and holds the
// note (note.h).
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "util/error.h"

namespace cpulevel::checkpoint {

// Returns when the note can be found: the guard's number. `then` is called in the guard when `criu` has ended.
[[nodiscard]] Result<pid_t> start_guard(pid_t criu, const std::string& note, const std::function<void()>& then);

// The guard ends without calling `then`.
void dismiss_guard(pid_t guard);

}  // namespace cpulevel::checkpoint
