// A restored program that uses the terminal of `cpulevel restore` becomes its job there, as one that `cpulevel run` has
// started: its parent stays in front of it, stops as it stops, and ends as it ends. A shell takes the terminal back
// when the command that it started ends; what is restored would be left in an orphaned process group, which cannot read
// from the terminal (EIO).
#pragma once

#include <sys/types.h>

#include "util/blocked_signals.h"

namespace cpulevel::checkpoint {

class TerminalJob {
   public:
    // Before CRIU starts, at a terminal: what it restores becomes a child of this process.
    static void expect();

    // Is the process our child, of our session, and one of its first three descriptors our terminal?
    [[nodiscard]] static bool is_one(pid_t process);

    // Until the program has ended: its wait status.
    [[nodiscard]] int mirror(pid_t program, pid_t supervisor) const;

   private:
    BlockedSignals signals_ = BlockedSignals::all();  // as long as it lives they are for mirror() to pass on
};

}  // namespace cpulevel::checkpoint
