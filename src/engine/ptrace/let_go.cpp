#include "engine/ptrace/let_go.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>
#include <utility>

#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/saved_vector.h"
#include "engine/ptrace/supervisor.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::byte kHalt{0xf4};
constexpr std::uint64_t kArchSetCpuid = 0x1012;  // arch/x86/include/uapi/asm/prctl.h

// The first byte of the instruction that a trap stands over, by its second: CPUID, SYSCALL, INT 0x80.
std::optional<std::byte> first_byte(std::byte second) {
    switch (std::to_integer<unsigned>(second)) {
        case 0xa2:
        case 0x05: return std::byte{0x0f};
        case 0x80: return std::byte{0xcd};
        default: return std::nullopt;
    }
}

void put_back(const std::vector<ChangedByte>& changed) {
    for (const ChangedByte& byte : changed)
        write_text(open_process_memory(byte.tid), RemoteAddress{byte.address}, std::span(&byte.was, 1));
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

constexpr std::chrono::milliseconds kStopTime{2000};  // processes of a frozen cgroup do not get there before it thaws

// The signal that stops a process is acted on when its threads run next, before anything of their own: on a busy
// machine not at once. Whoever asked is to find them stopped. The kernel tells only a parent or a tracer of a stop, so
// we look.
void wait_until_stopped(std::span<const pid_t> processes, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    for (const pid_t process : processes) {
        for (auto stat = read_proc_stat(process); stat && std::string_view("RSD").contains(stat->state);
             stat = read_proc_stat(process)) {
            if (std::chrono::steady_clock::now() >= until) return;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }
}

}  // namespace

std::vector<std::string> unlevelled_after(const LetGo& done, CpuidMethod method) {
    std::vector<std::string> sentences;
    if (done.faulting) {
        sentences.emplace_back(
            "CPUID faulting is off: CPUID instructions that do not answer from memory read the real CPU");
    }
    if (done.cpuid_traps != 0) {
        sentences.push_back(counted(done.cpuid_traps, "CPUID instruction that was", "CPUID instructions that were") +
                            " answered by a stop read the real CPU");
    }
    if (method != CpuidMethod::none) {
        sentences.emplace_back("CPUID instructions of libraries that are loaded from now on read the real CPU");
    }
    sentences.emplace_back("a program that is executed from now on sees the machine's own features, by all channels");
    return sentences;
}

// Memory of the tracee decides, not our list alone: a program may have replaced what was mapped there.
bool Supervisor::remove_traps(pid_t tid, AddressSpace& space, std::vector<ChangedByte>& changed, LetGo& done) {
    if (space.unknown_traps) planter_.find_traps(tid, space);
    done.jumps += space.jumps.size();
    if (policy_.method == CpuidMethod::faulting && !planter_.forget_live_answers(tid, space, changed)) return false;
    if (space.traps.empty()) return true;
    const Fd memory = open_process_memory(tid);
    if (!memory.valid()) return false;
    for (const PlantedTrap& trap : space.traps) {
        std::array<std::byte, 2> bytes{};
        const auto at = static_cast<off_t>(trap.address);
        if (::pread(memory.get(), bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size())) continue;
        // In a stub nothing is wanted any more: the call was done.
        const bool in_stub = trap.kind == PlantedTrap::Kind::map_stop;
        const auto first = in_stub ? std::optional(std::byte{0x90}) : first_byte(bytes[1]);
        if (bytes[0] != kHalt || !first) continue;
        if (::pwrite(memory.get(), &*first, 1, at) != 1) return false;
        changed.push_back({tid, trap.address, kHalt});
        ++(trap.kind == PlantedTrap::Kind::cpuid ? done.cpuid_traps : done.map_traps);
    }
    return true;
}

// 0 or -errno; a thread that is gone counts as done.
std::int64_t Supervisor::set_cpuid_faulting(Thread& thread, bool faults) {
    const auto registers = Registers::get(thread.tid);
    if (!registers) return 0;
    const std::array<std::uint64_t, 6> arguments{kArchSetCpuid, faults ? 0U : 1U, 0, 0, 0, policy_.cookie};
    const auto result = call_now(thread, syscall_numbers(registers->is_32bit()).arch_prctl, arguments);
    if (result) return *result;
    return threads_.contains(thread.tid) && Registers::get(thread.tid) ? -ENOSYS : 0;
}

Result<LetGo> Supervisor::let_go(const LetGoOptions& options) {
    if (const auto stopped =
            stop_tree(options.patience, options.leave_stopped ? Stop::anywhere : Stop::between_lookups);
        !stopped) {
        return std::unexpected(stopped.error());
    }
    LetGo done;
    std::vector<ChangedByte> changed;
    std::set<const AddressSpace*> seen;
    std::vector<pid_t> armed;  // threads whose CPUID faulting was switched off
    auto fail = [&](std::string what, pid_t tid) -> std::unexpected<Error> {
        put_back(changed);
        for (const pid_t other : armed) {
            if (const auto found = threads_.find(other); found != threads_.end())
                set_cpuid_faulting(found->second, true);
        }
        continue_tree();
        return machine_error(std::move(what), fmt::format("thread {}", tid), "", "the tree is levelled as before");
    };

    for (auto& [tid, thread] : threads_) {
        if (!thread.space || !seen.insert(thread.space.get()).second) continue;
        take_marks(*thread.space);
        if (!remove_traps(tid, *thread.space, changed, done) && Registers::get(tid)) {
            return fail("cannot take the traps out of a program", tid);
        }
    }
    if (policy_.method == CpuidMethod::faulting) {
        std::vector<pid_t> tids;
        for (const auto& [tid, thread] : threads_) tids.push_back(tid);
        for (const pid_t tid : tids) {
            const auto found = threads_.find(tid);
            if (found == threads_.end() || found->second.cpuid_faults_for_program) continue;
            if (set_cpuid_faulting(found->second, false) < 0) return fail("cannot switch CPUID faulting off", tid);
            armed.push_back(tid);
        }
        done.faulting = true;
    }

    std::map<pid_t, bool> processes;  // and whether they were stopped before
    for (const auto& [tid, thread] : threads_) processes[process_of(tid)] |= thread.parked_signal != 0;
    processes.erase(0);
    for (const auto& [process, was_stopped] : processes) {
        done.processes.push_back(process);
        if (was_stopped) {
            done.stopped_before.push_back(process);
        } else if (options.leave_stopped && ::kill(process, SIGSTOP) == 0) {
            done.stopped.push_back(process);
        }
    }
    done.threads = threads_.size();
    detach_tree();
    wait_until_stopped(done.stopped, std::min(options.patience, kStopTime));
    return done;
}

}  // namespace cpulevel::engine::ptrace
