#include "audit/signal_frame.h"

#include <gtest/gtest.h>

#include <random>

#include "frames.h"

namespace cpulevel::audit::test {
namespace {

constexpr std::uint64_t kFrame = kStack + 0x1008, kOuter = kStack + 0x8008, kMain = kStack + 0x20000;

TEST(SignalFrame, NoneOnAnEmptyStack) {
    Program program;
    const FrameSearch search = find_signal_frames(program.snapshot, program.thread());
    EXPECT_TRUE(search.frames.empty());
    EXPECT_TRUE(search.complete);
}

TEST(SignalFrame, IsFoundWithItsState) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kMain, .signal = 14, .state_size = 2696, .described = 0x2e7, .header = 0xe7, .filled = 0x44});
    program.thread().blocked_signals = bit(14);
    const FrameSearch search = find_signal_frames(program.snapshot, program.thread());
    ASSERT_EQ(search.frames.size(), 1U);
    const SignalFrame& frame = search.frames.front();
    EXPECT_EQ(frame.address, kFrame);
    EXPECT_EQ(frame.signal, 14);
    EXPECT_TRUE(frame.blocked_now);
    EXPECT_EQ(frame.state_size, 2696U);
    EXPECT_EQ(frame.header, 0xe7U);
    EXPECT_EQ(frame.in_use, 0x47U);  // opmask and Hi16_ZMM are named but hold nothing
    EXPECT_EQ(frame.interrupted_stack, kMain);
}

// Only SA_SIGINFO brings a siginfo; the number then follows from what is blocked more than before.
TEST(SignalFrame, WithoutSiginfoTheMaskTellsTheSignal) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kMain, .blocked_before = bit(2), .siginfo = false});
    program.thread().blocked_signals = bit(2) | bit(12);
    const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].signal, 12);
    EXPECT_TRUE(frames[0].blocked_now);
}

TEST(SignalFrame, LeftOverOneIsOnlyLikely) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kMain, .signal = 14});
    const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_FALSE(frames[0].blocked_now);
}

TEST(SignalFrame, BelowTheStackPointerDoesNotCount) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kMain});
    program.thread().stack_pointer = kFrame + 8;
    EXPECT_TRUE(find_signal_frames(program.snapshot, program.thread()).frames.empty());
}

TEST(SignalFrame, NestedHandlersAreAllFound) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kStack + 0x7000, .signal = 14, .blocked_before = bit(10)});
    program.push({.address = kOuter, .interrupted_stack = kMain, .signal = 10});
    program.thread().blocked_signals = bit(10) | bit(14);
    const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].signal, 14);
    EXPECT_EQ(frames[1].signal, 10);
    EXPECT_TRUE(frames[0].blocked_now);
    EXPECT_TRUE(frames[1].blocked_now);
}

TEST(SignalFrame, OnTheAlternateStackAndOnFromThere) {
    Program program;
    program.push({.address = kAlternate + 0x1008, .interrupted_stack = kStack + 0x7000, .signal = 11, .blocked_before = bit(10),
                  .alternate = kAlternate, .alternate_size = kAlternateSize});
    program.push({.address = kOuter, .interrupted_stack = kMain, .signal = 10});
    program.thread().stack_pointer = kAlternate + 0x200;
    program.thread().blocked_signals = bit(10) | bit(11);
    const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].address, kAlternate + 0x1008);
    EXPECT_EQ(frames[1].address, kOuter);
}

// A Go program keeps the signal stacks of all threads in one mapping: a frame on another's is not ours.
TEST(SignalFrame, OnAnotherThreadsAlternateStackDoesNotCount) {
    Program program;
    program.push({.address = kAlternate + 0x3008, .interrupted_stack = kMain, .signal = 11, .alternate = kAlternate + 0x2000, .alternate_size = 0x2000});
    program.thread().stack_pointer = kAlternate + 0x200;
    EXPECT_TRUE(find_signal_frames(program.snapshot, program.thread()).frames.empty());
    program.thread().stack_pointer = kAlternate + 0x2100;
    EXPECT_EQ(find_signal_frames(program.snapshot, program.thread()).frames.size(), 1U);
}

TEST(SignalFrame, RingOfFramesEnds) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kStack + 0x100});
    EXPECT_EQ(find_signal_frames(program.snapshot, program.thread()).frames.size(), 1U);
}

// Each detail that the kernel fixes: change it, and it is no frame.
TEST(SignalFrame, EveryDetailCounts) {
    struct Change {
        const char* what;
        std::uint64_t offset;
        std::uint64_t value;
    };
    const std::uint64_t state = (kFrame + 440 + 63) / 64 * 64 - kFrame;
    for (const Change& change : {Change{"restorer", 0, kCode + 0x20}, Change{"restorer outside of code", 0, kMain}, Change{"flag words", 8, 0xff00},
                                 Change{"code segment", 192, 0x10}, Change{"EFLAGS bit 1", 184, 0x244}, Change{"EFLAGS reserved", 184, 0x80000246},
                                 Change{"state below the frame", 232, kFrame - 64}, Change{"state not aligned", 232, kFrame + state + 4},
                                 Change{"state nowhere", 232, 0x10000}, Change{"header beyond what is described", state + 512, 0x87},
                                 Change{"second magic number", state + 832, 0}}) {
        Program program;
        program.push({.address = kFrame, .interrupted_stack = kMain});
        ASSERT_EQ(find_signal_frames(program.snapshot, program.thread()).frames.size(), 1U);
        program.put(kFrame + change.offset, change.value);
        EXPECT_TRUE(find_signal_frames(program.snapshot, program.thread()).frames.empty()) << change.what;
    }
}

TEST(SignalFrame, MachineWithoutXsave) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kMain, .state_size = 0});
    const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].state_size, 0U);
    EXPECT_EQ(frames[0].in_use, kLegacyComponents);
}

TEST(SignalFrame, ThirtyTwoBitFramesOfBothKinds) {
    for (const bool with_info : {true, false}) {
        Program program;
        // A 32-bit program's addresses are below 4 GiB.
        auto& memory = const_cast<FakeMemory&>(static_cast<const FakeMemory&>(*program.snapshot.memory));
        constexpr std::uint64_t kStack32 = 0xff000000;
        memory.blocks[kStack32] = std::vector<std::byte>(0x10000);
        program.snapshot.mappings.insert(program.snapshot.mappings.begin() + 1, {kStack32, kStack32 + 0x10000, true, true, false, "[stack]"});
        program.thread().is_32bit = true;
        program.thread().stack_pointer = kStack32 + 0x100;
        program.thread().blocked_signals = bit(14);
        const std::uint64_t f = kStack32 + 0x100c;
        const std::uint64_t context = with_info ? f + 164 : f + 8;
        const std::uint64_t area = kStack32 + 0x1400;
        program.put(f, static_cast<std::uint32_t>(with_info ? kRestorer32 : kOldRestorer32));
        program.put(f + 4, 14);
        if (with_info) {
            program.put(f + 8, static_cast<std::uint32_t>(f + 16));
            program.put(f + 12, static_cast<std::uint32_t>(f + 144));
            program.put(f + 144, std::uint32_t{1});
        }
        program.put(context + 28, static_cast<std::uint32_t>(kStack32 + 0x8000));
        program.put(context + 60, std::uint32_t{0x23});
        program.put(context + 64, std::uint32_t{0x246});
        program.put(context + 72, std::uint32_t{0x2b});
        program.put(context + 76, static_cast<std::uint32_t>(area - 112));
        program.fill_state(area, {.state_size = 832, .header = 7, .filled = 4});
        const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
        ASSERT_EQ(frames.size(), 1U) << with_info;
        EXPECT_EQ(frames[0].signal, 14);
        EXPECT_EQ(frames[0].state_size, 832U);
        EXPECT_EQ(frames[0].in_use, 7U);
        EXPECT_TRUE(frames[0].blocked_now);
    }
}

TEST(SignalFrame, Arm64WithSveRecord) {
    Program program;
    program.snapshot.architecture = arch::Architecture::aarch64;
    const std::uint64_t f = kStack + 0x1000;
    program.put(f, 10);
    program.put<std::uint64_t>(f + 560, kMain);
    program.put<std::uint64_t>(f + 568, kCode);
    program.put<std::uint32_t>(f + 592, 0x46508001);
    program.put<std::uint32_t>(f + 596, 528);
    program.put<std::uint32_t>(f + 592 + 528, 0x53564501);
    program.put<std::uint32_t>(f + 592 + 532, 32);
    program.put<std::uint16_t>(f + 592 + 536, 64);
    program.thread().blocked_signals = bit(10);
    const auto frames = find_signal_frames(program.snapshot, program.thread()).frames;
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].sve_vector_length, 64U);
    EXPECT_EQ(frames[0].signal, 10);
    program.put<std::uint32_t>(f + 592 + 532, 7);  // a record of a size that no record has
    EXPECT_TRUE(find_signal_frames(program.snapshot, program.thread()).frames.empty());
}

// Random words, with values that occur in frames strewn in: no crash, and practically never a frame.
TEST(SignalFrame, NoiseIsNoFrame) {
    std::mt19937_64 random(7);
    Program program;
    const std::uint64_t likely[] = {kRestorer, 0x33, 0x2b, 0x246, kStack + 0x2000, 0x46505853, 0x46505845, 0, 7, 10};
    for (std::uint64_t at = kStack; at < kStack + kStackSize; at += 8) {
        program.put(at, random() % 3 == 0 ? random() : likely[random() % std::size(likely)]);
    }
    EXPECT_TRUE(find_signal_frames(program.snapshot, program.thread()).frames.empty());
    program.thread().is_32bit = true;
    EXPECT_TRUE(find_signal_frames(program.snapshot, program.thread()).frames.empty());
}

TEST(SignalFrame, WithoutRegistersNothingIsClaimed) {
    Program program;
    program.thread().stack_pointer.reset();
    EXPECT_FALSE(find_signal_frames(program.snapshot, program.thread()).complete);
    program.thread().stack_pointer = 0x1234;
    EXPECT_FALSE(find_signal_frames(program.snapshot, program.thread()).complete);
}

}  // namespace
}  // namespace cpulevel::audit::test
