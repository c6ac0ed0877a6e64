#include "audit/live/stopped_process.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "engine/ptrace/process_list.h"
#include "engine/registry.h"
#include "util/blocked_signals.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::audit::live {
namespace {

using Clock = std::chrono::steady_clock;

std::string why_not_traced(pid_t pid, int error) {
    if (error == ESRCH) return "it ended meanwhile";
    if (const auto tracer = engine::tracer_of(pid); tracer && *tracer != 0) {
        return fmt::format("process {} traces it", *tracer);
    }
    if (error == EPERM) return "this user may not trace it";
    return std::strerror(error);
}

// A signal waits for the thread: a call that ended with EINTR ended for it, not for us alone.
bool has_signal_to_come(pid_t tid) {
    const auto status = read_file(fmt::format("/proc/{}/status", tid));
    if (!status) return true;
    const auto set = [&](std::string_view name) { return parse_hex(status_field(*status, name)).value_or(0); };
    const std::uint64_t pending = set("SigPnd") | set("ShdPnd"), blocked = set("SigBlk");
    return (pending & ~blocked) != 0;
}

}  // namespace

void wait_for_news(std::chrono::milliseconds most) {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    const auto count = std::max<std::int64_t>(0, most.count());
    const timespec patience{.tv_sec = count / 1000, .tv_nsec = count % 1000 * 1'000'000};
    ::sigtimedwait(&wanted, nullptr, &patience);
}

StoppedProcess::StoppedProcess(pid_t pid, std::chrono::milliseconds patience) : pid_(pid) {
    const BlockedSignals blocked({SIGCHLD});
    // New threads may be started by those that still run: until a round finds none.
    for (std::size_t before = 1; before != threads_.size();) {
        before = threads_.size();
        seize_all();
        wait_for_all(patience);
        if (threads_.empty()) return;
    }
}

void StoppedProcess::seize_all() {
    for (const pid_t tid : engine::ptrace::threads_of(pid_)) {
        if (std::ranges::any_of(threads_, [tid](const Thread& t) { return t.tid == tid; })) continue;
        Thread thread{.tid = tid, .why_not = {}};
        if (::ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
            thread.why_not = why_not_traced(tid, errno);
        } else {
            thread.seized = true;
            if (::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0) thread.why_not = std::strerror(errno);
        }
        threads_.push_back(std::move(thread));
    }
}

void StoppedProcess::wait_for_all(std::chrono::milliseconds patience) {
    const auto end = Clock::now() + patience;
    for (;;) {
        bool waiting = false;
        for (Thread& thread : threads_) {
            if (!thread.seized || thread.stopped || !thread.why_not.empty()) continue;
            int status = 0;
            const pid_t got = ::waitpid(thread.tid, &status, __WALL | WNOHANG);
            if (got == 0) {
                waiting = true;
            } else if (got != thread.tid || !WIFSTOPPED(status)) {
                thread.why_not = "it ended meanwhile";
                thread.seized = false;
            } else {
                thread.stopped = true;
                thread.interrupted = status >> 16 == PTRACE_EVENT_STOP;
                if (!thread.interrupted) thread.signal = WSTOPSIG(status);
            }
        }
        if (!waiting) return;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
        if (left.count() <= 0) break;
        wait_for_news(left);
    }
    for (Thread& thread : threads_) {
        if (thread.seized && !thread.stopped && thread.why_not.empty()) {
            thread.why_not = "it does not stop (uninterruptible sleep, or a frozen cgroup)";
        }
    }
}

void StoppedProcess::let_go(Thread& thread) const {
    if (!thread.seized) return;
    if (!thread.stopped) {
        // Only a stopped thread can be let go. The end of the tracer lets go of it in any case.
        int status = 0;
        if (::waitpid(thread.tid, &status, __WALL | WNOHANG) != thread.tid || !WIFSTOPPED(status)) return;
        thread.interrupted = status >> 16 == PTRACE_EVENT_STOP;
        if (!thread.interrupted) thread.signal = WSTOPSIG(status);
    }
    if (thread.interrupted && !has_signal_to_come(thread.tid)) repeat_interrupted_call(thread.tid);
    ::ptrace(PTRACE_DETACH, thread.tid, nullptr, static_cast<long>(thread.signal));
}

StoppedProcess::~StoppedProcess() {
    for (Thread& thread : threads_) let_go(thread);
}

}  // namespace cpulevel::audit::live
