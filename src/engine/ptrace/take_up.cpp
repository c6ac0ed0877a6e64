#include "engine/ptrace/take_up.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <ranges>
#include <utility>

#include "engine/ptrace/memory_map.h"
#include "engine/ptrace/process_list.h"
#include "engine/ptrace/saved_vector.h"
#include "engine/ptrace/supervisor.h"
#include "util/file.h"

namespace cpulevel::engine::ptrace {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kAtBase = 7;  // <linux/auxvec.h>

void put_back(const std::vector<ChangedByte>& changed) {
    for (const ChangedByte& byte : changed | std::views::reverse) {
        write_text(open_process_memory(byte.tid), RemoteAddress{byte.address}, std::span(&byte.was, 1));
    }
}

// Bits of the level's words that a vector shows and the level does not.
bool shows_more(const inherit::AuxVector& vector, const inherit::HwcapWords& level) {
    for (std::size_t word = 0; word < level.size(); ++word) {
        const auto shown = vector.find(inherit::kHwcapTypes[word]);
        if (shown && level[word] && (*shown & ~*level[word]) != 0) return true;
    }
    return false;
}

}  // namespace

// False: it is gone, or traced by us already (a child of a thread that was seized before).
Result<bool> Supervisor::seize_one(pid_t process, pid_t tid) {
    if (threads_.contains(tid)) return false;
    // The tree must outlive a failure on our side until all of it is done.
    const std::uint64_t gentle = options() & ~std::uint64_t{PTRACE_O_EXITKILL};
    if (::ptrace(PTRACE_SEIZE, tid, nullptr, std::bit_cast<void*>(gentle)) != 0) {
        const int error = errno;
        const auto stat = read_proc_stat(tid);
        if (!stat || stat->state == 'Z' || stat->state == 'X' || error == ESRCH) return false;
        const pid_t tracer = tracer_of(tid).value_or(0);
        if (tracer == ::getpid()) return false;
        // Kernel threads have no program, and no memory of their own (proc(5), statm).
        if (const auto sizes = read_file(fmt::format("/proc/{}/statm", process)); error == EPERM && sizes && sizes->starts_with("0 0 0 ")) {
            return usage_error("nothing to level", fmt::format("process {}", process), "it is a thread of the kernel");
        }
        errno = error;
        return system_error(ErrorKind::machine, "cannot trace", fmt::format("thread {} of process {}", tid, process),
                            tracer != 0 ? fmt::format("process {} traces it (strace, gdb, another supervisor)", tracer)
                                        : "only its own user and root may; a container's seccomp filter or Yama's ptrace_scope "
                                          "can forbid it too");
    }
    Thread& thread = thread_of(tid);
    thread.phase = Phase::running;
    thread.parent_known = true;
    thread.leads_process = process == tid;
    if (thread.leads_process) log_.counters().processes.fetch_add(1, std::memory_order_relaxed);
    // What it is in at its start is what it is in now: a forced signal must not change it.
    if (const auto stat = read_proc_stat(tid)) {
        thread.start_mask = stat->blocked;
        thread.start_ignored = stat->ignored;
    }
    for (const pid_t other : threads_of(process)) {
        const auto known = threads_.find(other);
        if (known != threads_.end() && known->second.space && other != tid) thread.space = known->second.space;
    }
    if (!thread.space) {
        thread.space = std::make_shared<AddressSpace>();
        thread.space->untouched = true;
    }
    interrupt(thread);
    return true;
}

Result<void> Supervisor::seize_all(const TakeUpOptions& options) {
    const auto until = Clock::now() + options.patience;
    std::vector<pid_t> roots{options.root};
    roots.insert(roots.end(), options.also.begin(), options.also.end());
    for (bool anything_new = true; anything_new;) {
        anything_new = false;
        const auto all = all_processes();
        const auto family = family_of(roots, all);
        if (std::ranges::find(family, options.root) == family.end()) {
            return machine_error("there is no such process to take up", std::to_string(options.root));
        }
        for (const pid_t process : family) {
            // Its threads may bear others until all of them are seized.
            for (bool again = true; again;) {
                again = false;
                for (const pid_t tid : threads_of(process)) {
                    const auto seized = seize_one(process, tid);
                    if (!seized) return std::unexpected(seized.error());
                    again = again || *seized;
                }
                anything_new = anything_new || again;
            }
            roots.push_back(process);  // also when its parent ends before the next reading
        }
        if (threads_.empty()) return machine_error("the tree has ended", std::to_string(options.root));
        if (!wait_parked(until)) return not_stopped(unparked(), "");
    }
    // Who is in the middle of looking the machine up sees the machine to the end.
    if (!settle(until)) return not_stopped(unparked(), "");
    return {};
}

// One memory image, none of whose threads runs.
Result<void> Supervisor::take_space(Thread& worker, TakenUp& done, std::vector<ChangedByte>& changed) {
    const pid_t tid = worker.tid;
    AddressSpace& space = *worker.space;
    const pid_t process = process_of(tid);
    auto registers = Registers::get(tid);
    if (!registers) return {};  // it was killed; waitpid tells
    const bool is_32bit = registers->is_32bit();
    std::optional<inherit::AuxVector> vector;
    if (const auto followed = follow_vector(tid, space, *registers); followed) {
        vector = space.saved->read();
    } else {
        done.problems.push_back(fmt::format("process {}: {}", process, followed.error().message()));
    }
    if (vector) {
        // Whether it was marked cannot be asked any more. Taking it as marked with what it shows has the same effect here.
        space.marks = inherit::after_prctl({}, space.abi, *vector);
        const auto level = policy_.imposed.masks.find(space.abi);
        if (level != policy_.imposed.masks.end() && shows_more(*vector, level->second)) done.told_more.push_back(process);
    }
    for (const MemoryMapping& mapping : read_memory_map(tid)) {
        if (mapping.path == "[vdso]") space.syscall_gadget = find_gadget(tid, mapping.start, is_32bit);
    }
    space.untouched = false;
    if (policy_.method == CpuidMethod::none) return {};

    PlantingCounts counts;
    const auto areas = is_32bit ? std::vector<KnownArea>{} : planter_.find_areas(tid);
    const std::uint64_t interpreter = vector ? vector->find(kAtBase).value_or(0) : 0;
    bool could_answer = false;
    for (const CodeModule& module : planter_.examine_process(tid, interpreter, counts)) {
        could_answer = could_answer || (!is_32bit && !policy_.table.empty() && !module.file->scan->patches.empty());
        const auto taken = planter_.take_over(tid, space, module, areas, changed);
        if (!taken) {
            if (!Registers::get(tid)) return {};
            return system_error(ErrorKind::machine, "cannot change the code of a program", fmt::format("process {}", process));
        }
        counts += *taken;
    }
    if (counts.unreadable != 0) {
        done.problems.push_back(fmt::format("process {}: {} of its files cannot be examined for CPUID", process, counts.unreadable));
    }
    if (could_answer && counts.in_memory == 0) done.unprepared.push_back(process);
    done.jumps += counts.in_memory;
    done.traps += counts.planted;
    done.undecided += counts.undecided;

    for (const ReplacedSite& jump : space.jumps) {
        std::byte first{};
        if (read_memory(tid, RemoteAddress{jump.address}, std::span(&first, 1)) == 1 && first == jump.original[0]) {
            return machine_error("a change to a program did not take effect", fmt::format("process {}", process));
        }
    }
    for (const PlantedTrap& trap : space.traps) {
        std::byte first{};
        if (read_memory(tid, RemoteAddress{trap.address}, std::span(&first, 1)) == 1 && first != std::byte{0xf4}) {
            return machine_error("a trap in a program did not take effect", fmt::format("process {}", process));
        }
    }
    if (!areas.empty()) {
        const auto answered = answers_the_level(worker, areas.front().routine);
        if (answered == false) {
            return machine_error("a program's own memory does not answer with the level", fmt::format("process {}", process));
        }
        if (answered == true) ++done.answers;
    }
    return {};
}

Result<void> Supervisor::take_spaces(TakenUp& done, std::vector<ChangedByte>& changed) {
    // Processes that share their memory without being threads of one (CLONE_VM) are one image.
    std::map<pid_t, std::shared_ptr<AddressSpace>> by_process;
    for (auto& [tid, thread] : threads_) {
        if (thread.leads_process) by_process.emplace(tid, thread.space);
    }
    for (auto& [process, space] : by_process) {
        const auto stat = read_proc_stat(process);
        const auto parent = stat ? by_process.find(stat->parent) : by_process.end();
        if (parent == by_process.end() || parent->second == space || !share_memory(process, parent->first)) continue;
        for (auto& [tid, thread] : threads_) {
            if (thread.space == space) thread.space = parent->second;
        }
        space = parent->second;
    }
    std::vector<pid_t> tids;
    for (const auto& [tid, thread] : threads_) tids.push_back(tid);
    std::ranges::sort(tids);
    for (const pid_t tid : tids) {
        const auto found = threads_.find(tid);
        if (found == threads_.end() || !found->second.space || !found->second.space->untouched) continue;
        if (auto taken = take_space(found->second, done, changed); !taken) return taken;
    }
    if (policy_.method != CpuidMethod::faulting) return {};
    for (const pid_t tid : tids) {
        const auto found = threads_.find(tid);
        if (found == threads_.end()) continue;
        if (set_cpuid_faulting(found->second, true) < 0) {
            return machine_error("CPUID faulting could not be armed", fmt::format("thread {}", tid));
        }
    }
    return {};
}

Result<TakenUp> Supervisor::take_up(const TakeUpOptions& options) {
    TakenUp done;
    std::vector<ChangedByte> changed;
    // What takes long, finding CPUID in files, is done before anything is stopped.
    learn_live_answers();
    if (policy_.method != CpuidMethod::none) {
        PlantingCounts ignored;
        const std::array root{options.root};
        for (const pid_t process : family_of(root, all_processes())) {
            static_cast<void>(planter_.examine_process(process, 0, ignored));
        }
    }
    stopping_ = true;
    root_ = options.root;
    own_filters_ = count_filters(options.root);
    auto taken = seize_all(options);
    if (taken) taken = take_spaces(done, changed);
    if (!taken) {
        put_back(changed);
        detach_tree();
        return std::unexpected(taken.error());
    }

    std::map<pid_t, bool> processes;
    for (auto& [tid, thread] : threads_) {
        processes[process_of(tid)] |= thread.parked_signal != 0;
        ::ptrace(PTRACE_SETOPTIONS, tid, nullptr, std::bit_cast<void*>(this->options()));
    }
    processes.erase(0);
    done.threads = threads_.size();
    const auto all = all_processes();
    const std::array root{options.root};
    for (const auto& [process, stopped] : processes) {
        done.processes.push_back(process);
        // In a frozen cgroup one that was left stopped has not come to its stop yet: it would when it is thawed.
        if (!stopped && !sigstop_is_pending(process)) continue;
        const bool keep = !options.continue_stopped || std::ranges::find(options.keep_stopped, process) != options.keep_stopped.end();
        (keep ? done.still_stopped : done.continued).push_back(process);
    }
    continue_tree();
    // Children before their parents, which then find no child stopped.
    auto order = family_of(root, all);
    for (const pid_t process : done.continued) {
        if (std::ranges::find(order, process) == order.end()) order.push_back(process);
    }
    for (const pid_t process : order | std::views::reverse) {
        if (std::ranges::find(done.continued, process) != done.continued.end()) ::kill(process, SIGCONT);
    }
    return done;
}

}  // namespace cpulevel::engine::ptrace
