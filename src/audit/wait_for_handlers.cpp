// Waiting until no thread is in a handler that the target cannot take.
//
// A handler ends with rt_sigreturn(2). So the threads that are in one are seized and run from system call to system call;
// after each of their stops their stack is looked at again, and a thread that is out is let go. Most of the time nothing
// happens, and nothing is asked for: the wait is for SIGCHLD. A handler that is left by longjmp() makes no such call; it
// is noticed at the next system call of the thread, whichever that is.
//
// A process that is traced already (a levelled tree) gives no such events to us: it is looked at again and again.
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <vector>

#include "audit/audit.h"
#include "audit/live/stopped_process.h"

namespace cpulevel::audit {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

bool blocks(const Finding& finding) { return finding.passes && finding.severity != Severity::note; }

milliseconds left_until(Clock::time_point end) {
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(end - Clock::now()));
}

// Threads that run from system call to system call. Let go, as they were, at the end.
class Watched {
   public:
    explicit Watched(const std::set<pid_t>& threads) {
        for (const pid_t tid : threads) {
            if (::ptrace(PTRACE_SEIZE, tid, nullptr, PTRACE_O_TRACESYSGOOD) != 0) continue;
            if (::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0) continue;
            threads_.push_back({tid});
        }
    }
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

    ~Watched() {
        for (const Thread& thread : threads_) ::ptrace(PTRACE_INTERRUPT, thread.tid, nullptr, nullptr);
        // A thread that does not stop (uninterruptible sleep) is let go by the kernel when this program ends.
        const auto end = Clock::now() + milliseconds(500);
        while (!threads_.empty() && left_until(end).count() > 0) {
            if (!take_stops([](Thread& thread, int signal, bool interrupted) {
                    if (interrupted) live::repeat_interrupted_call(thread.tid);
                    ::ptrace(PTRACE_DETACH, thread.tid, nullptr, static_cast<long>(signal));
                    thread.tid = 0;
                })) {
                live::wait_for_news(std::min(left_until(end), milliseconds(50)));
            }
            std::erase_if(threads_, [](const Thread& thread) { return thread.tid == 0; });
        }
    }

    [[nodiscard]] bool empty() const { return threads_.empty(); }

    // Until a thread has come back from a system call after rt_sigreturn may have been one; false: the time is over.
    bool wait_for_progress(Clock::time_point end) {
        while (!threads_.empty()) {
            bool progress = false;
            const bool any = take_stops([&](Thread& thread, int signal, bool interrupted) {
                if (interrupted) {
                    live::repeat_interrupted_call(thread.tid);
                    // Stopped by SIGSTOP and its like: stays so, and tells when it goes on.
                    if (signal != 0) {
                        ::ptrace(PTRACE_LISTEN, thread.tid, nullptr, nullptr);
                        return;
                    }
                }
                // A call has begun or ended: at its end the handler may have been left.
                if (signal == 0 && !interrupted) {
                    thread.inside_call = !thread.inside_call;
                    progress = progress || !thread.inside_call;
                }
                ::ptrace(PTRACE_SYSCALL, thread.tid, nullptr, static_cast<long>(signal));
            });
            std::erase_if(threads_, [](const Thread& thread) { return thread.tid == 0; });
            if (progress) return true;
            if (any) continue;
            const milliseconds left = left_until(end);
            if (left.count() == 0) return false;
            live::wait_for_news(left);
        }
        return true;
    }

   private:
    struct Thread {
        pid_t tid = 0;
        bool inside_call = false;
    };

    // Calls visit(thread, signal to hand back, stopped by request) for each that has stopped; false if none has.
    template <class Visit>
    bool take_stops(Visit visit) {
        bool any = false;
        for (Thread& thread : threads_) {
            int status = 0;
            const pid_t got = ::waitpid(thread.tid, &status, __WALL | WNOHANG);
            if (got == 0) continue;
            any = true;
            if (got < 0 || !WIFSTOPPED(status)) {
                thread.tid = 0;
                continue;
            }
            constexpr int kSyscallStop = SIGTRAP | 0x80;
            const bool by_request = status >> 16 == PTRACE_EVENT_STOP;
            const int signal = WSTOPSIG(status);
            visit(thread, by_request ? (signal == SIGTRAP ? 0 : signal) : (signal == kSyscallStop ? 0 : signal), by_request);
        }
        return any;
    }

    std::vector<Thread> threads_;
};

}  // namespace

Result<Report> wait_until_out_of_handlers(pid_t pid, const Target& target, milliseconds timeout, const ProcessOptions& options) {
    const live::BlockedSigchld blocked;
    const auto end = Clock::now() + timeout;
    for (;;) {
        auto report = audit_process(pid, target, options);
        if (!report) return report;
        std::set<pid_t> threads;
        for (const Finding& finding : report->findings) {
            if (blocks(finding)) threads.insert(finding.thread);
        }
        if (threads.empty() || left_until(end).count() == 0) return report;
        Watched watched(threads);
        if (watched.empty()) {
            // Traced by somebody else, or ended: there is no event to wait for.
            live::wait_for_news(std::min(left_until(end), milliseconds(20)));
        } else {
            static_cast<void>(watched.wait_for_progress(end));
        }
    }
}

}  // namespace cpulevel::audit
