#include "profile/cpuid_walk.h"

#include <gtest/gtest.h>

#include "support.h"

namespace cpulevel::profile {
namespace {

using arch::CpuidRegisters;

TEST(CpuidWalk, FindsAgainEveryAnswerOfARealCpu) {
    const auto dump = test::real_dump();
    std::size_t asked = 0;
    const auto walked = walk_cpuid([&](std::uint32_t leaf, std::uint32_t subleaf) {
        ++asked;
        return arch::find(dump, leaf, subleaf).value_or(CpuidRegisters{});
    });
    for (const auto& [key, registers] : dump) {
        // cpuid(1) also prints ranges that this CPU does not have, leaf 0x12 without SGX, and zero subleaves.
        if (registers == CpuidRegisters{} || key.leaf >= 0x80860000) continue;
        if (key.leaf > 0x40000001 && key.leaf < 0x80000000) continue;
        const auto found = arch::find(walked, key.leaf, key.subleaf);
        ASSERT_TRUE(found) << std::hex << key.leaf << "/" << key.subleaf;
        EXPECT_EQ(*found, registers);
    }
    EXPECT_LT(asked, 400U);
}

// A hypervisor may answer anything. The walk ends, and the dump stays small.
TEST(CpuidWalk, EndsWhateverTheCpuAnswers) {
    for (const std::uint32_t noise : {0x00000000U, 0xffffffffU, 0x80808080U, 0x00000fffU, 0x7fffffffU}) {
        const auto dump = walk_cpuid([&](std::uint32_t leaf, std::uint32_t subleaf) {
            return CpuidRegisters{noise ^ (leaf & 0xf0000000U), noise, noise, noise + subleaf};
        });
        EXPECT_LE(dump.size(), 256U * 64U) << std::hex << noise;
    }
}

TEST(CpuidWalk, TakesTheEndOfAListAndNothingBehindIt) {
    const auto dump = walk_cpuid([](std::uint32_t leaf, std::uint32_t subleaf) -> CpuidRegisters {
        if (leaf == 0) return {0xb, 0x756e6547, 0x6c65746e, 0x49656e69};
        if (leaf == 4) return subleaf < 3 ? CpuidRegisters{0x121, 1, 2, 3} : CpuidRegisters{};
        if (leaf == 0xb) return {1, 2, subleaf < 2 ? 0x100U : subleaf, 0};
        if (leaf == 7) return {2, subleaf, 0, 0};
        return {};
    });
    EXPECT_TRUE(dump.contains({4, 3}));
    EXPECT_FALSE(dump.contains({4, 4}));
    EXPECT_TRUE(dump.contains({0xb, 2}));
    EXPECT_FALSE(dump.contains({0xb, 3}));
    EXPECT_TRUE(dump.contains({7, 2}));
    EXPECT_FALSE(dump.contains({7, 3}));
    EXPECT_FALSE(dump.contains({1, 1}));
}

TEST(CpuidWalk, AsksTheHypervisorOnlyWhereThereIsOne) {
    for (const bool hypervisor : {false, true}) {
        const auto dump = walk_cpuid([&](std::uint32_t leaf, std::uint32_t) -> CpuidRegisters {
            if (leaf == 0) return {1, 0, 0, 0};
            if (leaf == 1) return {0, 0, hypervisor ? 1U << 31U : 0U, 0};
            if (leaf == 0x40000000) return {0x40000001, 1, 2, 3};
            if (leaf == 0x40000100) return {0x40000101, 4, 5, 6};
            return {};
        });
        EXPECT_EQ(dump.contains({0x40000001, 0}), hypervisor);
        EXPECT_EQ(dump.contains({0x40000101, 0}), hypervisor);
    }
}

}  // namespace
}  // namespace cpulevel::profile
