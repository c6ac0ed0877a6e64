// What a forced signal does to a thread, undone.
#include <csignal>

#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

// The kernel delivered `signal` by force: where it was blocked or ignored, it is now neither, and its action is the
// default. What was before is known at a program's start (the mask and the ignored signals survive execve, handlers
// do not). Later, a program may have changed both without a stop; then the other fault signals are the witness: whoever
// has blocked all of SIGBUS, SIGFPE and SIGILL has blocked SIGSEGV with them (sigfillset()).
void Supervisor::put_signal_state_back(Thread& thread, int signal) {
    const auto mask = signal_mask(thread.tid);
    if (!mask) return;
    constexpr std::uint64_t kOtherFaults = signal_bit(SIGBUS) | signal_bit(SIGFPE) | signal_bit(SIGILL);
    const std::uint64_t bit = signal_bit(signal);
    const bool as_at_start = (thread.start_mask & bit) != 0 && (*mask | bit) == thread.start_mask;
    const bool with_all_faults = (*mask & kOtherFaults) == kOtherFaults;
    if ((*mask & bit) == 0 && (as_at_start || with_all_faults)) set_signal_mask(thread.tid, *mask | bit);

    if ((thread.start_ignored & bit) == 0) return;
    const auto stat = read_proc_stat(thread.tid);
    if (stat && (stat->caught & bit) == 0) {
        start_restore_ignore(thread, signal);
    } else {
        thread.start_ignored &= ~bit;  // it has a handler of its own by now
    }
}

// The same before a program's first instruction: it cannot have changed anything.
void Supervisor::put_start_state_back(Thread& thread, int signal) {
    const std::uint64_t bit = signal_bit(signal);
    if (((thread.start_mask | thread.start_ignored) & bit) != 0) put_signal_state_back(thread, signal);
}

}  // namespace cpulevel::engine::ptrace
