// Where this process has to stay in front of what it has restored, as `cpulevel run` stays in front of what it has started: its parent
// stops as the program stops, and ends as it ends.
//
// At a terminal that the program uses: a shell takes the terminal back when the command that it started ends, and what is restored would
// be left in an orphaned process group, which cannot read from the terminal (EIO).
//
// As the first process of a pid namespace (unshare -p -f): the kernel kills all that is in the namespace when its first process ends.
#pragma once

#include <sys/types.h>

#include "util/blocked_signals.h"

namespace cpulevel::checkpoint {

// Are we the first process of our pid namespace? All that loses its parent there becomes our child.
[[nodiscard]] bool is_first_process();

class TerminalJob {
   public:
    // Before CRIU starts: what it restores becomes a child of this process, where there is a terminal, and of a first process.
    static void expect();

    // Is the process our child, of our session, and one of its first three descriptors our terminal?
    [[nodiscard]] static bool is_at_terminal(pid_t process);

    // Until the program has ended; as the first process, until all else has ended too, or we are told to end. The program's wait status.
    [[nodiscard]] int mirror(pid_t program, pid_t supervisor, bool at_terminal) const;

   private:
    BlockedSignals signals_ = BlockedSignals::all();  // as long as it lives they are for mirror() to pass on
};

}  // namespace cpulevel::checkpoint
