// The whole tree into stops, and on again.
//
// PTRACE_INTERRUPT makes a thread stop before its next instruction in user mode (PTRACE_EVENT_STOP). The kernel forgets an
// interrupt that has not been served when the thread enters any other stop (ptrace_stop() clears JOBCTL_TRAP_STOP), so
// after each event that is not the stop the thread is interrupted again. A thread that runs something for us (a stub, a
// system call) is not: it would be interrupted before it came to an end; its turn comes when it is done.
//
// A thread that has just run into a trap of ours has the signal for it pending, and an interrupt comes before that. Let go of
// like that it would die of the signal, so it goes on to its signal's stop first.
//
// A thread that waits for its vfork child cannot be stopped: the wait can only be killed. So its child runs on until it
// has executed a program or ended, and then both stop. A thread in an uninterruptible wait (a dead file server), or in a
// frozen cgroup of version 1, cannot be stopped either: after some patience all others go on as before, and it is named.
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <array>
#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>

#include "engine/ptrace/control.h"
#include "engine/ptrace/process_list.h"
#include "engine/ptrace/supervisor.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kAttempt{1000};
constexpr std::chrono::milliseconds kLook{100};  // until who cannot be stopped is looked at

constexpr int kSyscallStop = SIGTRAP | 0x80;
constexpr int kInterruptStop = SIGTRAP | (PTRACE_EVENT_STOP << 8);

// A SIGSEGV as a trap of ours or a faulting CPUID raises it (#GP: SI_KERNEL, no address), not yet delivered.
bool has_pending_fault(pid_t tid) {
    std::array<siginfo_t, 8> queue{};
    const struct {
        std::uint64_t from;
        std::uint32_t flags;
        std::int32_t most;
    } which{0, 0, static_cast<std::int32_t>(queue.size())};  // struct ptrace_peeksiginfo_args: the thread's own queue
    const long got = ::ptrace(static_cast<__ptrace_request>(PTRACE_PEEKSIGINFO), tid, &which, queue.data());
    return std::ranges::any_of(std::span(queue).first(got > 0 ? static_cast<std::size_t>(got) : 0), [](const siginfo_t& info) {
        return info.si_signo == SIGSEGV && info.si_code == SI_KERNEL && info.si_addr == nullptr;
    });
}

}  // namespace

void Supervisor::interrupt(const Thread& thread) {
    if (thread.parked || thread.faults || thread.phase != Phase::running || thread.vfork_parent != 0) return;
    ::ptrace(PTRACE_INTERRUPT, thread.tid, nullptr, nullptr);
}

void Supervisor::park(Thread& thread, int stop_signal) {
    if (leave_quick_start(thread)) return;
    thread.faults = has_pending_fault(thread.tid);
    if (thread.faults) {
        resume(thread.tid, Resume::run);
        return;
    }
    thread.parked = true;
    thread.parked_signal = stop_signal;
    if (thread.tid != root_) return;
    if (stop_signal != 0) {
        root_stopped_ = true;
    } else if (std::exchange(root_stopped_, false)) {
        continue_front();
    }
}

bool Supervisor::all_parked() const {
    return std::ranges::all_of(threads_, [](const auto& entry) { return entry.second.parked; });
}

// Serves events until every thread is parked; false when the time is over before that.
bool Supervisor::wait_parked(Clock::time_point until) {
    const Ticking ticking;
    auto look = Clock::now() + kLook;
    while (!all_parked()) {
        if (Clock::now() >= until) return false;
        if (Clock::now() >= look) {
            free_vfork_children();
            look = Clock::now() + kLook;
        }
        int status = 0;
        const pid_t tid = ::waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR) continue;
        if (tid < 0) return threads_.empty();  // ECHILD: all are gone
        const bool faulted = WIFSTOPPED(status) && status >> 16 == 0;
        handle(tid, status);
        const auto found = threads_.find(tid);
        if (found == threads_.end()) continue;
        if (faulted) found->second.faults = false;
        interrupt(found->second);
    }
    return true;
}

// For a tree whose vforks we have not seen: the children of threads that cannot be stopped go on.
void Supervisor::free_vfork_children() {
    for (auto& [tid, thread] : threads_) {
        if (thread.parked) continue;
        const auto stat = read_proc_stat(tid);
        if (!stat || stat->state != 'D') continue;
        const pid_t process = process_of(tid);
        for (auto& [other, child] : threads_) {
            if (!child.parked || !child.leads_process || other == process) continue;
            const auto child_stat = read_proc_stat(other);
            if (!child_stat || child_stat->parent != process || !share_memory(other, process)) continue;
            child.vfork_parent = tid;
            child.parked = false;
            resume(other, child.parked_signal != 0 ? Resume::listen : Resume::run);
        }
    }
}

std::string Supervisor::unparked() const {
    std::string text;
    for (const auto& [tid, thread] : threads_) {
        if (thread.parked) continue;
        const auto stat = read_proc_stat(tid);
        const auto wchan = read_file(fmt::format("/proc/{}/wchan", tid));
        if (!text.empty()) text += ", ";
        text += fmt::format("thread {} (state {}{})", tid, stat ? stat->state : '?',
                            wchan && wchan->size() > 1 ? fmt::format(", in {}", printable(*wchan)) : std::string{});
        if (text.size() > 1000) return text + ", ...";
    }
    return text;
}

std::unexpected<Error> Supervisor::not_stopped(const std::string& which, std::string_view state) {
    return machine_error("not every thread of the tree could be stopped", "", which,
                         fmt::format("a vfork child that has not executed its program yet, an uninterruptible wait, or a "
                                     "frozen cgroup (thaw it first) can be the reason{}",
                                     state));
}

Result<void> Supervisor::stop_tree(std::chrono::milliseconds patience, Stop where) {
    const auto until = Clock::now() + patience;
    for (;;) {
        stopping_ = true;
        if (held_ != 0) adopt_orphans();
        for (auto& [tid, thread] : threads_) {
            thread.faults = false;  // of an earlier attempt
            interrupt(thread);
        }
        if (wait_parked(std::min(until, Clock::now() + kAttempt)) && (where == Stop::anywhere || settle(until))) return {};
        // A vfork child may wait for one of those that are parked: all go on for a while.
        const std::string which = unparked();
        continue_tree();
        if (Clock::now() >= until) {
            return not_stopped(which, "; all run on as before");
        }
        serve_for(kAttempt / 4);
        if (threads_.empty()) return {};
    }
}

void Supervisor::continue_tree() {
    stopping_ = false;
    for (auto& [tid, thread] : threads_) {
        if (!std::exchange(thread.parked, false)) continue;
        resume(tid, thread.parked_signal != 0 ? Resume::listen : Resume::run);
    }
}

// Those that ended meanwhile are reaped, or their parents would wait for ever: a tracer hears first of each end.
void Supervisor::detach_tree() {
    for (auto& [tid, thread] : threads_) {
        if (thread.parked) ::ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
    }
    int status = 0;
    for (pid_t tid = 0; (tid = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
        if (WIFSTOPPED(status)) {
            const bool delivers = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP;
            ::ptrace(PTRACE_DETACH, tid, nullptr, std::bit_cast<void*>(delivers ? std::uint64_t(WSTOPSIG(status)) : 0));
        }
    }
    while (!threads_.empty()) forget(threads_.begin());
    stopping_ = false;
}

// Up to the stop that is wanted. A thread that does not come there (its cgroup is frozen, by version 2) is interrupted.
Supervisor::NextStop Supervisor::next_stop(Thread& thread, int wanted) {
    const Ticking ticking;
    auto until = Clock::now() + kAttempt;
    bool interrupted = wanted == kInterruptStop;
    for (;;) {
        int status = 0;
        const pid_t tid = ::waitpid(thread.tid, &status, __WALL);
        if (tid < 0 && errno == EINTR) {
            if (interrupted || Clock::now() < until) continue;
            interrupted = true;
            ::ptrace(PTRACE_INTERRUPT, thread.tid, nullptr, nullptr);
            continue;
        }
        if (tid < 0) return NextStop::gone;
        if (!WIFSTOPPED(status)) {
            thread_gone(tid, status);
            return NextStop::gone;
        }
        if (status >> 8 == wanted) return NextStop::wanted;
        // In a group-stop the interrupt's stop tells the group's signal.
        if (interrupted && status >> 16 == PTRACE_EVENT_STOP) {
            return wanted == kInterruptStop ? NextStop::wanted : NextStop::interrupted;
        }
        ::ptrace(wanted == kSyscallStop ? PTRACE_SYSCALL : PTRACE_CONT, tid, nullptr, nullptr);
    }
}

// Back into a stop as an interrupt makes it, before the thread runs anything of its own.
bool Supervisor::end_call(Thread& thread, bool stopped_by_interrupt) {
    if (stopped_by_interrupt) return true;
    ::ptrace(PTRACE_INTERRUPT, thread.tid, nullptr, nullptr);
    return ::ptrace(PTRACE_CONT, thread.tid, nullptr, nullptr) == 0 && next_stop(thread, kInterruptStop) == NextStop::wanted;
}

// One system call done by a parked thread, which is parked again afterwards, in a stop of the same kind: the kernel then
// restarts what it was in the middle of by its own rules (a signal's stop knows how; the end of a system call does not).
// All signals are blocked meanwhile, so that none is delivered in the middle of it.
std::optional<std::int64_t> Supervisor::call_now(Thread& thread, std::uint64_t number, std::span<const std::uint64_t> arguments) {
    const pid_t tid = thread.tid;
    const auto saved = Registers::get(tid);
    const auto mask = signal_mask(tid);
    const RemoteAddress gadget = thread.space->syscall_gadget;
    if (!saved || !mask || value(gadget) == 0) return std::nullopt;
    const auto wanted = syscall_instruction(saved->is_32bit());
    std::array<std::byte, 4> buffer{};
    const auto bytes = std::span(buffer).first(wanted.size());
    if (read_memory(tid, gadget, bytes) != bytes.size() || !std::ranges::equal(bytes, wanted)) return std::nullopt;

    Registers there = *saved;
    there.prepare_syscall(number, arguments);
    there.jump(gadget);
    if (!set_signal_mask(tid, ~std::uint64_t{0}) || !there.set(tid)) return std::nullopt;
    std::optional<std::int64_t> result;
    auto stopped = NextStop::wanted;
    for (int stop = 0; stopped == NextStop::wanted && stop < 2; ++stop) {  // the call's entry, and its exit
        stopped = ::ptrace(PTRACE_SYSCALL, tid, nullptr, nullptr) == 0 ? next_stop(thread, kSyscallStop) : NextStop::gone;
    }
    if (stopped == NextStop::gone) return std::nullopt;
    if (stopped == NextStop::wanted) {
        if (const auto after = Registers::get(tid)) result = after->syscall_result();
    }
    if (!end_call(thread, stopped == NextStop::interrupted)) return std::nullopt;
    saved->set(tid);
    set_signal_mask(tid, *mask);
    return result;
}

}  // namespace cpulevel::engine::ptrace
