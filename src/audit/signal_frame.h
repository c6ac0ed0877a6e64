// Signal frames on a stack: whether a thread is inside a signal handler, and what the kernel will restore when it
// returns. Found without debugging information; how is told in signal_frame.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/snapshot.h"

namespace cpulevel::audit {

struct SignalFrame {
    enum class Shape : std::uint8_t { x86_64, ia32, ia32_without_siginfo, aarch64 };
    Shape shape = Shape::x86_64;
    std::uint64_t address = 0;
    int signal = 0;                       // 0: not told (a handler without SA_SIGINFO, and several signals blocked)
    std::uint64_t interrupted_stack = 0;  // stack pointer of what was interrupted
    std::uint64_t blocked_before = 0;     // the signal mask that is restored
    bool blocked_now = false;             // the handler's own signal is blocked in the thread, as it is in most handlers

    // x86: the XSAVE area in the frame. Without one (`state_size` 0) the frame holds x87 and SSE at the most.
    std::uint32_t state_size = 0;         // bytes, as the kernel that wrote it had them
    std::uint64_t described = 0;          // XCR0 components that the frame is laid out for
    std::uint64_t header = 0;             // XSTATE_BV
    std::uint64_t in_use = 0;             // of these: not all zero (where the places are known; else as header)
    std::optional<std::uint32_t> pkru;
    std::map<unsigned, profile::XsaveComponent> places;  // of its components; empty: not known

    // aarch64: vector lengths of the SVE and SME records, bytes; 0: no such record
    std::uint32_t sve_vector_length = 0;
    bool has_sme = false;
};

struct FrameSearch {
    std::vector<SignalFrame> frames;  // the innermost first
    bool complete = true;             // false: some stack could not be read to its end
    std::string incomplete_why;
};

// Of one thread: from its stack pointer upwards, then on from what each frame interrupted.
[[nodiscard]] FrameSearch find_signal_frames(const Snapshot& process, const Thread& thread);

// "SIGALRM", "signal 40"
[[nodiscard]] std::string signal_name(int signal);

}  // namespace cpulevel::audit
