// The kernel engine's vector: what a process sets for itself before it becomes the program.
#include "engine/kernel/kernel.h"

#include <gtest/gtest.h>

namespace cpulevel::engine::kernel {
namespace {

using inherit::AuxVector;
using inherit::WordSize;

const AuxVector kOwn(WordSize::bits64, {{51, 3632}, {inherit::kAtHwcap, 0xff}, {inherit::kAtPageSize, 4096},
                                        {inherit::kAtHwcap2, 0x3}});

level::Level some_level(arch::Architecture architecture) {
    level::Level level;
    level.architecture = architecture;
    level.hwcap = {0x0f, 0x2, std::nullopt, std::nullopt};
    return level;
}

const Channel* find(const Coverage& coverage, std::string_view name) {
    for (const Channel& channel : coverage) {
        if (channel.name == name) return &channel;
    }
    return nullptr;
}

TEST(KernelEngine, TheVectorIsOwnWithTheLevelsWords) {
    const auto prepared = level_vector(some_level(arch::Architecture::x86_64), kOwn);
    EXPECT_EQ(prepared.vector, AuxVector(WordSize::bits64, {{51, 3632}, {inherit::kAtHwcap, 0x0f},
                                                            {inherit::kAtPageSize, 4096}, {inherit::kAtHwcap2, 0x2}}));
}

TEST(KernelEngine, NeverAddsABitOrAnEntry) {
    level::Level level = some_level(arch::Architecture::x86_64);
    level.hwcap = {~0ULL, std::nullopt, 0x1, 0x1};
    EXPECT_EQ(level_vector(level, kOwn).vector, kOwn);
}

TEST(KernelEngine, CpuidIsNotCoveredOnX86AndIsNoChannelElsewhere) {
    const auto x86 = level_vector(some_level(arch::Architecture::x86_64), kOwn);
    ASSERT_NE(find(x86.coverage, "CPUID"), nullptr);
    EXPECT_EQ(find(x86.coverage, "CPUID")->state, ChannelState::none);
    EXPECT_EQ(find(level_vector(some_level(arch::Architecture::aarch64), kOwn).coverage, "CPUID"), nullptr);
}

TEST(KernelEngine, ASignalFrameLargerThanTheMachinesIsNotCovered) {
    level::Level level = some_level(arch::Architecture::x86_64);
    level.minimum_signal_stack = 3632;
    EXPECT_EQ(find(level_vector(level, kOwn).coverage, "AT_MINSIGSTKSZ"), nullptr);
    level.minimum_signal_stack = 3633;
    const auto prepared = level_vector(level, kOwn);
    ASSERT_NE(find(prepared.coverage, "AT_MINSIGSTKSZ"), nullptr);
    EXPECT_EQ(find(prepared.coverage, "AT_MINSIGSTKSZ")->state, ChannelState::none);
    EXPECT_EQ(prepared.vector.find(51), 3632U) << "the kernel would not hand it on, and it is not said to be levelled";
}

}  // namespace
}  // namespace cpulevel::engine::kernel
