// Waiting until no thread is in a handler that the target cannot take.
//
// A handler ends with rt_sigreturn(2). So the threads that are in one are seized and run from system call to system call;
// at the first stop (it may have left meanwhile) and at the end of each call their stack is looked at again, and a thread
// that is out is let go. Most of the time nothing happens, and nothing is asked for: the wait is for SIGCHLD. A handler
// that is left by longjmp() makes no such call; it is noticed at the next system call of the thread, whichever that is.
//
// A process that is traced already (a levelled tree) gives no such events to us: it is looked at again and again.
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "audit/audit.h"
#include "audit/judge.h"
#include "audit/live/snapshot_of.h"
#include "audit/live/stopped_process.h"
#include "util/blocked_signals.h"

namespace cpulevel::audit {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

bool blocks(const Finding& finding) { return finding.passes && finding.severity != Severity::note; }

milliseconds left_until(Clock::time_point end) {
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(end - Clock::now()));
}

struct Address {
    pid_t pid = 0, tid = 0;
    friend auto operator<=>(const Address&, const Address&) = default;
};

// Threads that run from system call to system call until they are out of their handler. Let go, as they were, then.
class Watched {
   public:
    // `inside(thread)`: whether a stopped thread is still in a handler.
    Watched(const std::set<Address>& threads, std::function<bool(const Address&)> inside) : inside_(std::move(inside)) {
        for (const Address& address : threads) {
            if (::ptrace(PTRACE_SEIZE, address.tid, nullptr, PTRACE_O_TRACESYSGOOD) != 0) continue;
            threads_.push_back({address});
            ::ptrace(PTRACE_INTERRUPT, address.tid, nullptr, nullptr);
        }
    }
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

    ~Watched() {
        for (const Thread& thread : threads_) ::ptrace(PTRACE_INTERRUPT, thread.address.tid, nullptr, nullptr);
        // A thread that does not stop (uninterruptible sleep) is let go by the kernel when this program ends.
        const auto end = Clock::now() + milliseconds(500);
        while (!threads_.empty() && left_until(end).count() > 0) {
            if (!take_stops([](Thread& thread, int signal, bool by_request) { let_go(thread, signal, by_request); })) {
                live::wait_for_news(std::min(left_until(end), milliseconds(50)));
            }
        }
    }

    [[nodiscard]] bool empty() const { return threads_.empty(); }

    // Until all of them are out, or the time is over.
    void wait_until_out(Clock::time_point end) {
        while (!threads_.empty()) {
            const bool any = take_stops([&](Thread& thread, int signal, bool by_request) { go_on(thread, signal, by_request); });
            if (any) continue;
            const milliseconds left = left_until(end);
            if (left.count() == 0) return;
            live::wait_for_news(left);
        }
    }

   private:
    struct Thread {
        Address address;
        bool seen = false;         // has stopped once
        bool inside_call = false;  // between the beginning and the end of a system call
        bool done = false;         // let go, or gone
    };

    static void let_go(Thread& thread, int signal, bool by_request) {
        if (by_request) live::repeat_interrupted_call(thread.address.tid);
        ::ptrace(PTRACE_DETACH, thread.address.tid, nullptr, static_cast<long>(by_request ? 0 : signal));
        thread.done = true;
    }

    void go_on(Thread& thread, int signal, bool by_request) {
        const bool call = !by_request && signal == 0;  // one begins or ends
        if (call) thread.inside_call = !thread.inside_call;
        const bool look = !std::exchange(thread.seen, true) || (call && !thread.inside_call);
        if (look && !inside_(thread.address)) return let_go(thread, signal, by_request);
        if (by_request && signal != SIGTRAP) {  // stopped by SIGSTOP and its like: stays so, and tells when it goes on
            ::ptrace(PTRACE_LISTEN, thread.address.tid, nullptr, nullptr);
            return;
        }
        if (by_request) live::repeat_interrupted_call(thread.address.tid);
        ::ptrace(PTRACE_SYSCALL, thread.address.tid, nullptr, static_cast<long>(by_request ? 0 : signal));
    }

    // Calls visit(thread, signal, stopped by request) for each that has stopped; false if none has. The signal is the one
    // to hand back; 0 at a system call.
    template <class Visit>
    bool take_stops(Visit visit) {
        bool any = false;
        for (Thread& thread : threads_) {
            int status = 0;
            const pid_t got = ::waitpid(thread.address.tid, &status, __WALL | WNOHANG);
            if (got == 0) continue;
            any = true;
            if (got < 0 || !WIFSTOPPED(status)) {
                thread.done = true;
                continue;
            }
            constexpr int kSyscallStop = SIGTRAP | 0x80;
            const int signal = WSTOPSIG(status);
            visit(thread, signal == kSyscallStop ? 0 : signal, status >> 16 == PTRACE_EVENT_STOP);
        }
        std::erase_if(threads_, [](const Thread& thread) { return thread.done; });
        return any;
    }

    std::function<bool(const Address&)> inside_;
    std::vector<Thread> threads_;
};

// Of a thread that we have stopped.
bool is_inside(const Address& address, const Target& target, const std::optional<profile::XsaveLayout>& layout) {
    const live::StoppedProcess::Thread stopped{.tid = address.tid, .why_not = {}, .seized = true, .stopped = true};
    const auto snapshot = live::snapshot_of(std::span(&stopped, 1), address.pid, layout ? &*layout : nullptr);
    if (!snapshot) return false;  // gone
    Evidence evidence;
    evidence.process = &*snapshot;
    evidence.frames.push_back(find_signal_frames(*snapshot, snapshot->threads.front()));
    Report report;
    judge_threads(evidence, target, report);
    return std::ranges::any_of(report.findings, blocks);
}

}  // namespace

Result<Report> wait_until_out_of_handlers(pid_t pid, const Target& target, milliseconds timeout, const ProcessOptions& options) {
    const BlockedSignals blocked({SIGCHLD});
    const auto end = Clock::now() + timeout;
    const auto layout = live::layout_here();
    for (;;) {
        auto report = audit_process(pid, target, options);
        if (!report) return report;
        std::set<Address> threads;
        for (const Finding& finding : report->findings) {
            if (blocks(finding)) threads.insert({finding.pid, finding.thread});
        }
        if (threads.empty() || left_until(end).count() == 0) return report;
        Watched watched(threads, [&](const Address& address) { return is_inside(address, target, layout); });
        if (watched.empty()) {
            // Traced by somebody else, or ended: there is no event to wait for.
            live::wait_for_news(std::min(left_until(end), milliseconds(20)));
        } else {
            watched.wait_until_out(end);
        }
    }
}

}  // namespace cpulevel::audit
