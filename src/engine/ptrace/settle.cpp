// Nobody is in the middle of looking its CPU up when what CPUID answers changes.
//
// When a running tree is let go of, CPUID instructions that were answered by a stop read the real CPU; when it is taken
// up, those of programs that were executed in between read the level. A program that has read one half of its features
// before that and the other half after it has features that no CPU has. Seen: ld.so in its first milliseconds took
// XSAVEC from the machine and the size of its save area, 0, from the level, and died of the first lazily bound call.
//
// So a parked thread that is found in such a run of CPUID instructions (cpuid/lookup_ranges.h) goes on for some
// milliseconds, and is stopped again, until it is out of it. Such a run takes microseconds of the thread's own time; how long that
// lasts depends on who else wants the CPU, and on what a stop costs. A thread that is still in one when it has run for kOwnTime, or
// after kLongest, does not look its CPU up, it uses CPUID all the time (as a clock's barrier): it is taken as it stands.
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include "cpuid/lookup_ranges.h"
#include "engine/ptrace/control.h"
#include "engine/ptrace/supervisor.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRound{5};
constexpr std::chrono::nanoseconds kOwnTime = std::chrono::milliseconds(5);
constexpr std::chrono::milliseconds kLongest{1000};
constexpr std::size_t kWords = 256;  // of the stack that are looked at: what was called from a run is not deep below it

std::vector<std::uint64_t> top_of_stack(pid_t tid, const Registers& registers) {
    std::vector<std::uint64_t> words(kWords);
    const auto bytes = std::as_writable_bytes(std::span(words));
    const std::size_t got = read_memory(tid, registers.stack(), bytes);
    if (!registers.is_32bit()) {
        words.resize(got / sizeof(std::uint64_t));
        return words;
    }
    std::vector<std::uint64_t> narrow;
    for (std::size_t at = 0; at + sizeof(std::uint32_t) <= got; at += sizeof(std::uint32_t)) {
        std::uint32_t word = 0;
        std::ranges::copy(bytes.subspan(at, sizeof word), std::as_writable_bytes(std::span(&word, 1)).begin());
        narrow.push_back(word);
    }
    return narrow;
}

// How long the thread has run so far: the first number of schedstat (Documentation/scheduler/sched-stats.rst). A kernel without it
// lets kLongest decide.
std::chrono::nanoseconds own_time(pid_t tid) {
    const auto text = read_file(fmt::format("/proc/{}/schedstat", tid));
    return std::chrono::nanoseconds(text ? parse_decimal(first_word(*text)).value_or(0) : 0);
}

}  // namespace

// Serves events for a while.
void Supervisor::serve_for(std::chrono::milliseconds time) {
    const Ticking ticking;
    for (const auto end = Clock::now() + time; Clock::now() < end;) {
        int status = 0;
        const pid_t tid = ::waitpid(-1, &status, __WALL);
        if (tid > 0) handle(tid, status);
        if (tid < 0 && errno != EINTR) return;  // all are gone
    }
}

bool Supervisor::is_looking_up(const Thread& thread, std::map<pid_t, std::vector<cpuid::LookupRange>>& known) {
    const pid_t process = process_of(thread.tid);
    const auto registers = Registers::get(thread.tid);
    if (process == 0 || !registers) return false;
    auto found = known.find(process);
    if (found == known.end()) {
        found = known.emplace(process, cpuid::lookup_ranges(planter_.live_sites(thread.tid))).first;
    }
    if (found->second.empty()) return false;
    const auto stack = top_of_stack(thread.tid, *registers);
    return cpuid::is_looking_up(value(registers->instruction()), stack, found->second);
}

// All are parked before and, if it says so, afterwards.
bool Supervisor::settle(Clock::time_point until) {
    if (policy_.method == CpuidMethod::none) return true;
    std::map<pid_t, std::chrono::nanoseconds> ran;  // when it was found in a run of CPUID for the first time
    for (const auto end = Clock::now() + kLongest; Clock::now() < end;) {
        std::map<pid_t, std::vector<cpuid::LookupRange>> known;
        std::vector<pid_t> on;
        for (const auto& [tid, thread] : threads_) {
            // One that is stopped (Ctrl-Z) cannot go on: it will see the other answers when it is continued.
            if (thread.parked_signal != 0 || !is_looking_up(thread, known)) continue;
            const auto now = own_time(tid);
            if (now - ran.emplace(tid, now).first->second < kOwnTime) on.push_back(tid);
        }
        if (on.empty()) return true;
        for (const pid_t tid : on) {
            threads_[tid].parked = false;
            resume(tid, Resume::run);
        }
        serve_for(kRound);
        for (const auto& [tid, thread] : threads_) interrupt(thread);
        if (!wait_parked(until)) return false;
    }
    return true;
}

}  // namespace cpulevel::engine::ptrace
