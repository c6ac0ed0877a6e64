#include "engine/ptrace/supervisor.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "engine/ptrace/control.h"
#include "engine/ptrace/memory_map.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr int kSyscallStop = SIGTRAP | 0x80;     // with PTRACE_O_TRACESYSGOOD
constexpr std::uint64_t kCloneVm = 0x100;        // CLONE_VM, <linux/sched.h>
constexpr std::uint64_t kCloneVfork = 0x4000;    // CLONE_VFORK
constexpr std::uint64_t kCloneThread = 0x10000;  // CLONE_THREAD

bool is_stop_signal(int signal) {
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

// How a thread goes on that was interrupted: one that we watch to the end of a system call stays watched.
Resume going_on(const Thread& thread) {
    return thread.phase == Phase::remote_call ? Resume::until_syscall : Resume::run;
}

// What the child that `parent` is just bearing shares with it. Told by the call itself: the event's kind follows the
// exit signal and CLONE_VFORK, not CLONE_VM (kernel/fork.c, kernel_clone()).
std::uint64_t clone_flags(const Thread& parent, const Registers& registers) {
    const SyscallNumbers& numbers = syscall_numbers(registers.is_32bit());
    const std::uint64_t number = registers.syscall_number();
    if (number == numbers.vfork) return kCloneVm | kCloneVfork;
    if (number == numbers.clone) return registers.syscall_argument(0);
    if (number == numbers.clone3) {
        std::array<std::byte, 8> flags{};
        const RemoteAddress arguments{registers.syscall_argument(0)};
        if (read_memory(parent.tid, arguments, flags) == flags.size()) {
            return std::bit_cast<std::uint64_t>(flags);
        }
    }
    return 0;
}

}  // namespace

std::uint64_t Supervisor::options() const {
    std::uint64_t options =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    // Only with a filter of ours: a program's own filter that says "ask the tracer" gets ENOSYS where there is none.
    if (policy_.watch_calls) options |= PTRACE_O_TRACESECCOMP;
    if (options_.kill_tree_with_us) options |= PTRACE_O_EXITKILL;
    return options;
}

Result<void> Supervisor::seize(pid_t root) {
    own_filters_ = count_filters(::getpid()) + (policy_.watch_calls ? 1 : 0);
    learn_live_answers();
    if (::ptrace(PTRACE_SEIZE, root, nullptr, std::bit_cast<void*>(options())) != 0) {
        const int error = errno;
        if (const pid_t tracer = tracer_of(root).value_or(0); tracer != 0) {
            return machine_error("cannot trace the program's process", std::to_string(root),
                                 fmt::format("process {} traces what is started here (an outer `cpulevel run` or `inherit`, strace, gdb), and "
                                             "a process has one tracer",
                                             tracer));
        }
        errno = error;
        return system_error(ErrorKind::machine, "cannot trace the program's process", std::to_string(root),
                            "a container's seccomp filter or Yama's ptrace_scope 3 can forbid it; `cpulevel check` tells which");
    }
    root_ = root;
    Thread& thread = thread_of(root);
    thread.leads_process = true;
    thread.phase = Phase::running;
    thread.space = std::make_shared<AddressSpace>();
    log_.counters().processes.fetch_add(1, std::memory_order_relaxed);
    return {};
}

Supervisor::Served Supervisor::serve(const std::function<void(int)>& root_gone) {
    root_gone_ = root_gone;
    for (;;) {
        if (request_waits()) return Served::asked;
        int status = 0;
        const pid_t tid = next_event(status);
        if (tid > 0) {
            handle(tid, status);
        } else if (errno != EINTR) {
            return Served::ended;  // ECHILD: no tracee is left
        }
    }
}

// Sleeps until there is one; what has to be looked up about threads that nobody has announced is, before that.
pid_t Supervisor::next_event(int& status) {
    // A new thread wakes us before its parent's event does, nearly always by microseconds: reading /proc to find out
    // whether that will come would cost more than all else that is done for a thread.
    constexpr int kPatience = 100;
    for (int i = 0; unasked_ != 0 && i < kPatience; ++i) {
        const pid_t tid = ::waitpid(-1, &status, __WALL | WNOHANG);
        if (tid != 0) return tid;
        ::sched_yield();
    }
    if (unasked_ != 0) adopt_orphans();
    return ::waitpid(-1, &status, __WALL);
}

void Supervisor::handle(pid_t tid, int status) {
    if (!WIFSTOPPED(status)) {
        thread_gone(tid, status);
        return;
    }
    const int event = status >> 16;
    const int signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_EXEC) {
        on_exec(tid);
        return;
    }
    Thread& thread = thread_of(tid);  // if new: its parent's event is still on its way
    switch (event) {
        case PTRACE_EVENT_FORK:
        case PTRACE_EVENT_VFORK:
        case PTRACE_EVENT_CLONE: on_birth(thread); break;
        case PTRACE_EVENT_SECCOMP: on_watched_call(thread); break;
        case PTRACE_EVENT_STOP:
            if (thread.phase == Phase::fresh) {
                on_first_stop(thread, signal);
            } else {
                on_group_stop(thread, signal);
            }
            break;
        case 0:
            if (signal == kSyscallStop) {
                on_syscall_stop(thread);
            } else {
                on_signal(thread, signal);
            }
            break;
        default: resume(tid, Resume::run);
    }
}

Thread& Supervisor::thread_of(pid_t tid) {
    Thread& thread = threads_[tid];
    if (thread.tid == 0) {
        thread.tid = tid;
        log_.counters().threads.fetch_add(1, std::memory_order_relaxed);
    }
    return thread;
}

void Supervisor::forget(std::unordered_map<pid_t, Thread>::iterator thread) {
    if (thread->second.phase == Phase::held) --held_;
    unasked_ = std::min(unasked_, held_);
    if (thread->second.leads_process) log_.counters().processes.fetch_sub(1, std::memory_order_relaxed);
    log_.counters().threads.fetch_sub(1, std::memory_order_relaxed);
    threads_.erase(thread);
}

void Supervisor::thread_gone(pid_t tid, int status) {
    if (const auto found = threads_.find(tid); found != threads_.end()) forget(found);
    log_.gone(tid);
    if (held_ != 0) adopt_orphans();
    if (tid == root_) {
        root_ = 0;
        if (root_stopped_) continue_front();
        root_gone_(status);
    }
}

void Supervisor::on_birth(Thread& parent) {
    const auto message = event_message(parent.tid);
    const auto registers = Registers::get(parent.tid);
    if (message && registers) {
        const std::uint64_t flags = clone_flags(parent, *registers);
        Thread& child = thread_of(static_cast<pid_t>(*message));
        const bool leads = (flags & kCloneThread) == 0;
        if (leads && !child.leads_process) log_.counters().processes.fetch_add(1, std::memory_order_relaxed);
        child.leads_process = leads;
        if ((flags & kCloneVfork) != 0) child.vfork_parent = parent.tid;
        child.start_mask = parent.start_mask;
        child.start_ignored = parent.start_ignored;
        child.cpuid_faults_for_program = parent.cpuid_faults_for_program;
        adopt_birth(child, (flags & kCloneVm) != 0 ? parent.space : copied_space(*parent.space, child.tid));
    }
    resume(parent.tid, going_on(parent));
}

// The kernel has copied the saved vector with the rest of the image (rule 2).
std::shared_ptr<AddressSpace> Supervisor::copied_space(AddressSpace& parent, pid_t child) {
    auto space = std::make_shared<AddressSpace>(parent);
    if (!parent.saved) return space;
    auto saved = SavedVector::open(child, parent.saved->word_size());
    if (saved) {
        space->saved = std::move(*saved);
        return space;
    }
    // What its parent has set until now is all that can be known; a child that is gone already needs no more.
    take_marks(*space);
    space->saved = nullptr;
    const int error = saved.error().errno_value;
    if (error != ENOENT && error != ESRCH) {
        log_.problem(child, "what it sets by prctl for its programs cannot be seen: " + saved.error().message());
    }
    return space;
}

void Supervisor::adopt_birth(Thread& child, std::shared_ptr<AddressSpace> space) {
    child.space = std::move(space);
    child.parent_known = true;
    if (child.phase != Phase::held) return;
    child.phase = Phase::running;
    --held_;
    unasked_ = std::min(unasked_, held_);
    if (stopping_ && child.vfork_parent == 0) {
        park(child, is_stop_signal(child.held_signal) ? child.held_signal : 0);
    } else if (is_stop_signal(child.held_signal)) {
        resume(child.tid, Resume::listen);
    } else {
        resume(child.tid, Resume::run);
    }
}

// A parent that is killed between bearing a child and its own stop never tells of it. Its event will not come: the
// child is taken up as one whose memory is a copy of we do not know which.
bool Supervisor::adopt_orphan(Thread& child) {
    const pid_t process = process_of(child.tid);
    const auto stat = read_proc_stat(child.tid);
    // The parent that the kernel names is a process's; a thread's mother is in its own process.
    const pid_t parent = process == child.tid && stat ? stat->parent : process;
    if (threads_.contains(parent)) return false;
    auto space = std::make_shared<AddressSpace>();
    space->unknown_traps = true;
    const auto registers = Registers::get(child.tid);
    if (registers) follow_vector(child.tid, *space, *registers);
    if (space->saved) {
        // Whether its parent was marked cannot be asked any more. Taking it as marked with what it was given has the
        // same effect on this machine.
        if (const auto vector = space->saved->read()) {
            space->marks = inherit::after_prctl({}, space->abi, *vector);
        }
    }
    for (const MemoryMapping& mapping : read_memory_map(child.tid)) {
        if (registers && mapping.path == "[vdso]") {
            space->syscall_gadget = find_gadget(child.tid, mapping.start, registers->is_32bit());
        }
    }
    child.leads_process = process == child.tid;
    if (child.leads_process) log_.counters().processes.fetch_add(1, std::memory_order_relaxed);
    adopt_birth(child, std::move(space));
    return true;
}

void Supervisor::adopt_orphans() {
    unasked_ = 0;
    for (auto& [tid, thread] : threads_) {
        if (thread.phase == Phase::held) adopt_orphan(thread);
    }
}

void Supervisor::on_first_stop(Thread& thread, int stop_signal) {
    if (!thread.parent_known) {
        thread.phase = Phase::held;
        thread.held_signal = stop_signal;
        ++held_;
        ++unasked_;
        if (stopping_) adopt_orphans();
        return;
    }
    thread.phase = Phase::running;
    if (stopping_ && thread.vfork_parent == 0) {
        park(thread, is_stop_signal(stop_signal) ? stop_signal : 0);
        return;
    }
    resume(thread.tid, is_stop_signal(stop_signal) ? Resume::listen : Resume::run);
}

void Supervisor::on_group_stop(Thread& thread, int stop_signal) {
    // SIGTRAP here is the end of a group-stop (SIGCONT came): the thread goes on with what it was doing.
    if (stopping_ && thread.phase == Phase::running) {
        park(thread, is_stop_signal(stop_signal) ? stop_signal : 0);
    } else if (is_stop_signal(stop_signal)) {
        if (thread.tid == root_) root_stopped_ = true;
        resume(thread.tid, Resume::listen);
    } else {
        if (thread.tid == root_ && std::exchange(root_stopped_, false)) continue_front();
        resume(thread.tid, going_on(thread));
    }
}

// The front stopped with the program; who continued or killed the program need not have continued the front. One that
// is running must not be sent anything: the signal could arrive after the next stop, and undo that.
void Supervisor::continue_front() {
    const auto stat = read_proc_stat(options_.front);
    const auto program = read_proc_stat(root_);
    if (program && program->parent != options_.front) return;  // it has ended, and the number may be another's
    if (stat && stat->state == 'T') ::kill(options_.front, SIGCONT);
}

void Supervisor::on_exec(pid_t tid) {
    // The thread that called execve goes on under the leader's number; all others are gone, some without a word.
    const auto former = event_message(tid);
    std::shared_ptr<AddressSpace> space;
    if (former && static_cast<pid_t>(*former) != tid) {
        const auto old = threads_.find(static_cast<pid_t>(*former));
        if (old != threads_.end()) {
            space = old->second.space;
            forget(old);
        }
    }
    Thread& thread = thread_of(tid);
    if (!thread.leads_process) log_.counters().processes.fetch_add(1, std::memory_order_relaxed);
    if (!space) space = thread.space ? thread.space : std::make_shared<AddressSpace>();
    thread = Thread{};
    thread.tid = tid;
    thread.phase = Phase::running;
    thread.parent_known = true;
    thread.leads_process = true;
    thread.space = std::move(space);
    level_program(thread);
}

void Supervisor::on_signal(Thread& thread, int signal) {
    if (signal == SIGTRAP && thread.starting && on_quick_trap(thread)) return;
    if (signal == SIGTRAP && thread.phase == Phase::exec_stub && thread.starting && on_stub_end(thread)) return;
    if (signal == SIGSEGV && on_segmentation_fault(thread)) return;
    log_.counters().signals_passed.fetch_add(1, std::memory_order_relaxed);
    resume(thread.tid, going_on(thread), signal);
}

}  // namespace cpulevel::engine::ptrace
