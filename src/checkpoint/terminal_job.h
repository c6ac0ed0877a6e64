// A restored program that uses the terminal of `cpulevel restore` becomes its job there, as one that `cpulevel run` has
// started: its parent stays in front of it, stops as it stops, and ends as it ends. A shell takes the terminal back
// when the command that it started ends; what is restored would be left in an orphaned process group, which cannot read
// from the terminal (EIO).
#pragma once

#include <sys/types.h>

#include <csignal>

namespace cpulevel::checkpoint {

class TerminalJob {
   public:
    // Before CRIU starts, at a terminal: what it restores becomes a child of this process.
    static void expect();

    // Is the process our child, of our session, and one of its first three descriptors our terminal?
    [[nodiscard]] static bool is_one(pid_t process);

    // Blocks all signals: from now on they are for mirror() to pass on. The destructor lets them through again.
    TerminalJob();
    TerminalJob(const TerminalJob&) = delete;
    TerminalJob& operator=(const TerminalJob&) = delete;
    ~TerminalJob();

    // Until the program has ended: its wait status.
    [[nodiscard]] int mirror(pid_t program, pid_t supervisor) const;

   private:
    sigset_t before_{};
};

}  // namespace cpulevel::checkpoint
