// A supervisor lets its tree go: nobody traces it then, so that it can be checkpointed, and nobody enforces its level.
//
// First every thread of every process is brought to a stop, so that none runs without its level while others are still
// dealt with. Then what needs a tracer is taken out: the traps over CPUID and over the loader's mmap get their own
// instructions back (with nobody attached a trap kills), CPUID faulting is switched off. What needs none stays: the jumps
// to stubs, which answer from the level's table in the process. Then all threads are detached.
// (Decision: docs/decisions/016-release-and-adopt.md.)
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ptrace/policy.h"

namespace cpulevel::engine::ptrace {

struct LetGoOptions {
    bool leave_stopped = false;  // by SIGSTOP, before any instruction of theirs
    std::chrono::milliseconds patience{10'000};
};

struct LetGo {
    std::vector<pid_t> processes;
    std::size_t threads = 0;
    std::vector<pid_t> stopped;         // by us (leave_stopped)
    std::vector<pid_t> stopped_before;  // were in a group-stop before, and still are
    std::size_t cpuid_traps = 0;        // removed: these CPUID instructions read the real CPU now
    std::size_t map_traps = 0;          // removed: libraries that are loaded from now on are not looked at
    std::size_t jumps = 0;              // CPUID instructions that go on answering from memory
    bool faulting = false;              // CPUID faulting was switched off
};

// What is not levelled any more, in sentences.
[[nodiscard]] std::vector<std::string> unlevelled_after(const LetGo& done, CpuidMethod method);

}  // namespace cpulevel::engine::ptrace
