// The front's work (processes.h): what it does for the program that it is the parent of.
#pragma once

#include <sys/types.h>

namespace cpulevel::engine::ptrace {

// Serves until the program has ended: passes on the signals that are sent to this process, stops as the program stops.
// All signals are blocked (BlockedSignals::all()). `at_our_terminal`: what the terminal's driver sends reaches the program without us.
// The program's wait status.
[[nodiscard]] int mirror_program(pid_t program, pid_t supervisor, bool at_our_terminal = true);

// Ends this process by `signal`, without a second core file; returns only if that cannot be (PID 1).
void die_of(int signal);

}  // namespace cpulevel::engine::ptrace
