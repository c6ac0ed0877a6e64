// The asking side of control.h: sends a supervisor a request and waits for its answer.
#pragma once

#include <sys/types.h>

#include <string>

#include "engine/ptrace/control.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

[[nodiscard]] Result<std::string> ask_supervisor(pid_t supervisor, uid_t owner, const Request& request);

}  // namespace cpulevel::engine::ptrace
