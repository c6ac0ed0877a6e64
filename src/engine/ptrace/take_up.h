// A supervisor takes up a tree that runs already: one that it let go, one that was restored from a checkpoint, or one
// that was never levelled.
//
// Every thread of every process is seized and brought to a stop. A process that is born or executes a program meanwhile is
// followed by the ordinary means, since its parent is traced by then; the list of threads is read again until it has
// nothing new. Then each memory image is examined as a whole, while none of the threads that share it runs: jumps to stubs
// are kept where stub and table are byte for byte ours and of this level, everything else is answered by traps, which
// change the first byte of an instruction only and are right wherever the threads are. What was found and changed is read
// back, and one answer is asked of each image in fact, before the first thread goes on.
// (Decision: docs/decisions/016-release-and-adopt.md.)
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cpulevel::engine::ptrace {

struct TakeUpOptions {
    pid_t root = 0;             // the tree is this process and its descendants
    std::vector<pid_t> also;    // and these, as far as they exist
    bool continue_stopped = true;     // SIGCONT for each process that is stopped
    std::vector<pid_t> keep_stopped;  // but not for these
    pid_t front = 0;  // the parent of `root`, where it mirrors it (mirror.h): it hears of the tree's stops
    std::chrono::milliseconds patience{10'000};
};

struct TakenUp {
    std::vector<pid_t> processes;
    std::size_t threads = 0;
    std::vector<pid_t> continued;
    std::vector<pid_t> still_stopped;
    std::size_t jumps = 0;        // CPUID instructions that answer from memory, as before
    std::size_t traps = 0;        // CPUID instructions that are answered by a stop
    std::size_t undecided = 0;    // places that could be CPUID and were left alone
    std::size_t answers = 0;      // asked of the programs' own memory and found to be the level's
    std::vector<pid_t> told_more; // their saved auxiliary vector shows more than the level: they started without it
    std::vector<pid_t> unprepared; // answer nothing from memory though they could: they started without it, or by --no-patch
    std::vector<std::string> problems;  // what of which process is not covered
};

}  // namespace cpulevel::engine::ptrace
