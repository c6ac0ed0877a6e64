// The three processes of a run.
//
//   front       the one that the user started. It is the program's parent, so the program finds the world as it
//               would without us: its parent's job control, its orphans' reaper when we are PID 1 of a container. It
//               passes signals on, stops when the program stops, and ends as the program ends (mirror.h).
//   program     becomes the user's program.
//   supervisor  the tracer. Not the program's parent, and in a process group of its own: Ctrl-C and Ctrl-Z are for the
//               program, and a stopped front must not stop the tracer, or the whole tree would hang at its next stop.
//               It lives as long as any process of the tree, also when the first program has ended.
//
// If the supervisor dies, the kernel kills every tracee (PTRACE_O_EXITKILL). If the front is killed, the supervisor
// kills the program, as the user meant to.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "engine/ptrace/call_filter.h"
#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

struct Pipe {
    Fd read, write;
    [[nodiscard]] static Result<Pipe> create();  // close-on-exec both
};

// In the program's process: waits until the supervisor has taken it up, then becomes the program. Never returns. The
// pid goes to the supervisor by `hello`; a byte on `go` says that it is traced; errno of a failed exec goes to `failure`.
// With `filter_cookie`, the call filter (call_filter.h) is installed first.
struct ProgramPipes {
    int hello, go, failure;
};
[[noreturn]] void become_program(const std::vector<std::string>& command, const sigset_t& mask, pid_t supervisor,
                                 ProgramPipes pipes, std::optional<FilterCookie> filter_cookie);

// In a supervisor. What it needs of its surroundings is nothing: descriptors that it kept would keep pipes open that the user
// waits for; signals of the terminal are for the program.
void leave_the_foreground();
void close_all_but(std::initializer_list<int> kept);
void raise_file_limit();  // one file is open for each memory image (saved_vector.h); the program's own limit stays

}  // namespace cpulevel::engine::ptrace
