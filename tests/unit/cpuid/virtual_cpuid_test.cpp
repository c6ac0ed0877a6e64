// What a levelled program sees of each corner of CPUID.
#include "cpuid/virtual_cpuid.h"

#include <gtest/gtest.h>

#include "example_cpus.h"
#include "level/expression.h"

namespace cpulevel::cpuid {
namespace {

using arch::CpuidRegisters;
const CpuidRegisters kZeros{};

VirtualCpuid intel(std::initializer_list<std::string_view> without = {}) {
    return VirtualCpuid::build(level_of_node(intel_host(), without), intel_host());
}
VirtualCpuid amd(std::initializer_list<std::string_view> without = {}) {
    return VirtualCpuid::build(level_of_node(amd_host(), without), amd_host());
}
level::Level named(std::string_view name) {
    auto level = level::parse_level(name, arch::Architecture::x86_64);
    if (!level) throw std::runtime_error(level.error().message());
    return *level;
}
CpuidRegisters on_intel(const VirtualCpuid& cpuid, std::uint32_t leaf, std::uint32_t subleaf, std::uint32_t cpu = 7) {
    return cpuid.answer(leaf, subleaf, executed_on(intel_host(), cpu));
}
CpuidRegisters on_amd(const VirtualCpuid& cpuid, std::uint32_t leaf, std::uint32_t subleaf, std::uint32_t cpu = 7) {
    return cpuid.answer(leaf, subleaf, executed_on(amd_host(), cpu));
}
bool bit(std::uint32_t word, unsigned number) { return ((word >> number) & 1U) != 0; }

// --- above the maximum -------------------------------------------------------------------------------------------

TEST(VirtualCpuidAboveMaximum, IntelRepeatsTheHighestBasicLeaf) {
    arch::CpuidDump node = intel_host();
    node[{0, 0}].eax = 0x16;
    const auto cpuid = VirtualCpuid::build(level_of_node(node), intel_host());
    const CpuidRegisters highest{0x834, 0xdac, 0x64, 0};
    EXPECT_EQ(cpuid.maximum_basic_leaf(), 0x16U);
    for (const std::uint32_t leaf : {0x17U, 0x1fU, 0x100U, 0x3fffffffU, 0x80000009U, 0x8fffffffU, 0xc0000000U, ~0U}) {
        EXPECT_EQ(cpuid.answer(leaf, 0, must_not_be_asked), highest) << std::hex << leaf;
        EXPECT_EQ(cpuid.answer(leaf, 3, must_not_be_asked), highest) << std::hex << leaf;
    }
}

TEST(VirtualCpuidAboveMaximum, IntelUsesEcxWhereTheHighestLeafHasSubleaves) {
    arch::CpuidDump node = intel_host();
    node[{0, 0}].eax = 4;
    const auto cpuid = VirtualCpuid::build(level_of_node(node, {"osxsave"}), intel_host());
    EXPECT_EQ(cpuid.answer(0x99, 1, must_not_be_asked), (CpuidRegisters{0x1c004122, 0x01c0003f, 0x3f, 0}));
    EXPECT_EQ(cpuid.answer(0x99, 9, must_not_be_asked), kZeros);
}

TEST(VirtualCpuidAboveMaximum, AmdGivesZeros) {
    for (const std::uint32_t leaf : {0x11U, 0x1fU, 0x3fffffffU, 0x80000027U, 0xc0000000U, ~0U}) {
        EXPECT_EQ(amd().answer(leaf, 0, must_not_be_asked), kZeros) << std::hex << leaf;
    }
}

TEST(VirtualCpuidAboveMaximum, TheShownVendorDecidesNotTheMachines) {
    const auto cpuid = VirtualCpuid::build(level_of_node(amd_host()), intel_host());
    EXPECT_FALSE(cpuid.above_maximum_repeats_highest());
    const auto other = VirtualCpuid::build(level_of_node(intel_host()), amd_host());
    EXPECT_TRUE(other.above_maximum_repeats_highest());
}

TEST(VirtualCpuidAboveMaximum, ALeafBelowItThatTheLevelDoesNotHaveIsZero) {
    EXPECT_EQ(intel().answer(0x8, 0, must_not_be_asked), kZeros);
}

// --- hypervisor range --------------------------------------------------------------------------------------------

arch::CpuidDump intel_guest() {
    arch::CpuidDump node = intel_host();
    node[{0x40000000, 0}] = {0x40000001, four("KVMKVMKVM", 0), four("KVMKVMKVM", 4), four("KVMKVMKVM", 8)};
    return node;
}

TEST(VirtualCpuidHypervisor, HiddenRangeIsAboveTheMaximum) {
    arch::CpuidDump node = intel_guest();
    node[{0, 0}].eax = 0x16;
    const auto cpuid = VirtualCpuid::build(level_of_node(node, {"hypervisor"}), intel_guest());
    EXPECT_FALSE(bit(on_intel(cpuid, 1, 0).ecx, 31));
    EXPECT_EQ(cpuid.answer(0x40000000, 0, must_not_be_asked), (CpuidRegisters{0x834, 0xdac, 0x64, 0}));
    EXPECT_EQ(amd({"hypervisor"}).answer(0x40000000, 0, must_not_be_asked), kZeros);
}

TEST(VirtualCpuidHypervisor, ShownRangeAnswersFromTheLevelAndZerosBeyond) {
    const auto cpuid = VirtualCpuid::build(level_of_node(intel_guest()), intel_guest());
    EXPECT_TRUE(bit(on_intel(cpuid, 1, 0).ecx, 31));
    EXPECT_EQ(cpuid.answer(0x40000000, 0, must_not_be_asked).ebx, four("KVMK", 0));
    EXPECT_EQ(cpuid.answer(0x40000100, 0, must_not_be_asked), kZeros);
    EXPECT_EQ(cpuid.answer(0x4fffffff, 0, must_not_be_asked), kZeros);
}

// --- subleaves ---------------------------------------------------------------------------------------------------

TEST(VirtualCpuidSubleaves, LeavesWithoutSubleavesIgnoreEcx) {
    const auto cpuid = intel();
    for (const std::uint32_t leaf : {0x0U, 0x2U, 0x15U, 0x16U, 0x80000002U, 0x80000006U}) {
        EXPECT_EQ(cpuid.answer(leaf, 5, must_not_be_asked), cpuid.answer(leaf, 0, must_not_be_asked));
        EXPECT_NE(cpuid.answer(leaf, 5, must_not_be_asked), kZeros);
    }
    EXPECT_EQ(on_intel(cpuid, 1, 0xffffffff), on_intel(cpuid, 1, 0));
}

TEST(VirtualCpuidSubleaves, BeyondTheLastAreZeros) {
    arch::CpuidDump node = intel_host();
    node[{0, 0}].eax = 0x24;
    const auto cpuid = VirtualCpuid::build(level_of_node(node), node);
    EXPECT_NE(cpuid.answer(4, 1, must_not_be_asked), kZeros);
    for (const std::uint32_t leaf : {0x4U, 0x7U, 0xdU, 0x14U, 0x1dU, 0x24U}) {
        EXPECT_EQ(cpuid.answer(leaf, 0x50, must_not_be_asked), kZeros) << std::hex << leaf;
    }
    EXPECT_NE(amd().answer(0x8000001d, 1, must_not_be_asked), kZeros);
    EXPECT_EQ(amd().answer(0x8000001d, 2, must_not_be_asked), kZeros);
}

TEST(VirtualCpuidSubleaves, Leaf7BeyondItsStatedLastIsZeroEvenIfTheLevelHoldsIt) {
    arch::CpuidDump node = intel_host();
    ASSERT_TRUE(node.contains({7, 1}));
    EXPECT_NE(intel().answer(7, 1, must_not_be_asked), kZeros);
    node[{7, 0}].eax = 0;
    EXPECT_EQ(VirtualCpuid::build(level_of_node(node), node).answer(7, 1, must_not_be_asked), kZeros);
}

// --- LIVE --------------------------------------------------------------------------------------------------------

TEST(VirtualCpuidLive, Leaf1ApicIdIsOfTheCpuThatAsks) {
    const auto cpuid = intel();
    EXPECT_EQ(on_intel(cpuid, 1, 0, 3).ebx >> 24U, 3U);
    EXPECT_EQ(on_intel(cpuid, 1, 0, 200).ebx >> 24U, 200U);
    EXPECT_EQ((on_intel(cpuid, 1, 0).ebx >> 8U) & 0xffU, 8U) << "CLFLUSH size is the level's";
    EXPECT_EQ(on_intel(cpuid, 1, 0).eax, 0x000806f8U);
}

TEST(VirtualCpuidLive, TopologyRepeatsTheSubleafAndGivesTheApicIdAlsoBeyondTheLastLevel) {
    const auto cpuid = intel();
    for (const std::uint32_t leaf : {0xbU, 0x1fU}) {
        for (const std::uint32_t subleaf : {0U, 1U, 2U, 0x77U, 0x1ffU}) {
            const CpuidRegisters answer = on_intel(cpuid, leaf, subleaf, 9);
            EXPECT_EQ(answer.edx, 9U) << leaf << " " << subleaf;
            EXPECT_EQ(answer.ecx & 0xffU, subleaf & 0xffU) << leaf << " " << subleaf;
        }
    }
    EXPECT_EQ(on_intel(cpuid, 0xb, 1).ebx, 16U);
    EXPECT_EQ(on_intel(cpuid, 0xb, 2).ebx, 0U);
}

TEST(VirtualCpuidLive, ALeafThatTheMachineLacksIsNotAskedOfIt) {
    // An Intel CPU would answer leaf 0x1F above its maximum with another leaf's data.
    const auto cpuid = VirtualCpuid::build(level_of_node(intel_host()), amd_host());
    EXPECT_EQ(cpuid.answer(0x1f, 0, must_not_be_asked), kZeros);
    EXPECT_EQ(cpuid.answer(0x1f, 3, must_not_be_asked), (CpuidRegisters{0, 0, 3, 0}));
}

TEST(VirtualCpuidLive, RealAnswersNeverShowAFeature) {
    const auto cpuid = VirtualCpuid::build(named("x86-64"), intel_host());
    const auto all_ones = [](std::uint32_t, std::uint32_t) { return CpuidRegisters{~0U, ~0U, ~0U, ~0U}; };
    const CpuidRegisters leaf_1 = cpuid.answer(1, 0, all_ones);
    EXPECT_FALSE(bit(leaf_1.ecx, 28)) << "AVX";
    EXPECT_EQ(leaf_1.ebx >> 24U, 0xffU);
}

// --- leaf 0xD and what belongs to it -----------------------------------------------------------------------------

TEST(VirtualCpuidXsave, SizesAreTheLevelsPromiseNotTheDumps) {
    level::Level level = level_of_node(intel_host());
    level.xsave.emplace().visible = 0x7;
    level.xsave->standard_size = 11008;
    level.xsave->compacted_size = 9000;
    level.xsave->components[2] = {.size = 256, .offset = 576};
    const auto cpuid = VirtualCpuid::build(level, intel_host());
    EXPECT_EQ(cpuid.answer(0xd, 0, must_not_be_asked), (CpuidRegisters{7, 11008, 11008, 0}));
    EXPECT_EQ(cpuid.answer(0xd, 1, must_not_be_asked).ebx, 9000U);
    EXPECT_EQ(cpuid.answer(0xd, 2, must_not_be_asked), (CpuidRegisters{256, 576, 0, 0}));
    EXPECT_EQ(cpuid.answer(0xd, 5, must_not_be_asked), kZeros);
}

TEST(VirtualCpuidXsave, HiddenOsxsaveLeavesNoSizeToTrust) {
    const auto cpuid = intel({"osxsave"});
    EXPECT_FALSE(bit(on_intel(cpuid, 1, 0).ecx, 27));
    for (std::uint32_t subleaf = 0; subleaf < 64; ++subleaf) {
        EXPECT_EQ(cpuid.answer(0xd, subleaf, must_not_be_asked), kZeros) << subleaf;
    }
}

TEST(VirtualCpuidXsave, ANamedLevelThatShowsOsxsaveReachesLeaf0xD) {
    const level::Level v3 = named("x86-64-v3");
    ASSERT_TRUE(v3.features.contains(feature("osxsave")));
    const auto cpuid = VirtualCpuid::build(v3, arch::CpuidDump{});
    EXPECT_GE(cpuid.maximum_basic_leaf(), 0xdU);
    EXPECT_EQ(cpuid.answer(0xd, 0, must_not_be_asked).ebx, v3.xsave.value().standard_size);
    EXPECT_GT(v3.xsave->standard_size, 0U);
}

TEST(VirtualCpuidXsave, OspkeFollowsTheLevel) {
    EXPECT_TRUE(bit(intel().answer(7, 0, must_not_be_asked).ecx, 4));
    EXPECT_FALSE(bit(intel({"ospke"}).answer(7, 0, must_not_be_asked).ecx, 4));
}

// --- NAMED -------------------------------------------------------------------------------------------------------

std::string brand_of(const VirtualCpuid& cpuid) {
    arch::CpuidDump dump;
    for (const std::uint32_t leaf : {0x80000002U, 0x80000003U, 0x80000004U}) {
        dump[{leaf, 0}] = cpuid.answer(leaf, 0, must_not_be_asked);
    }
    return arch::x86_identity(dump).brand;
}

TEST(VirtualCpuidNamed, ALevelWithoutNodesHasTheMachinesNameCachesAndFrequency) {
    const auto cpuid = VirtualCpuid::build(named("x86-64-v2"), intel_host());
    EXPECT_EQ(cpuid.answer(0, 0, must_not_be_asked).ebx, four("Genu", 0));
    EXPECT_EQ(on_intel(cpuid, 1, 0).eax, 0x000806f8U);
    EXPECT_EQ(brand_of(cpuid), "Intel(R) Example(R) 9000 CPU @ 2.10GHz");
    EXPECT_EQ(cpuid.answer(2, 0, must_not_be_asked), intel_host().at({2, 0}));
    EXPECT_EQ(cpuid.answer(4, 1, must_not_be_asked), intel_host().at({4, 1}));
    EXPECT_EQ(cpuid.answer(0x16, 0, must_not_be_asked), intel_host().at({0x16, 0}));
    EXPECT_EQ(cpuid.answer(0x80000006, 0, must_not_be_asked), intel_host().at({0x80000006, 0}));
    EXPECT_EQ(on_intel(cpuid, 0xb, 1).ebx, 16U) << "topology is LIVE";
    EXPECT_LE(cpuid.maximum_basic_leaf(), 0x1fU);
    EXPECT_EQ((on_intel(cpuid, 1, 0).ebx >> 8U) & 0xffU, 8U) << "a CLFLUSH size of 0 is no size";
    EXPECT_EQ(on_intel(cpuid, 0x80000008, 0).eax, 0x3934U) << "address widths";
    EXPECT_FALSE(bit(on_intel(cpuid, 7, 0).ebx, 5)) << "no AVX2 in v2";
    EXPECT_TRUE(bit(on_intel(cpuid, 1, 0).ecx, 20)) << "SSE4.2 in v2";

    const auto other = VirtualCpuid::build(named("x86-64-v2"), amd_host());
    EXPECT_EQ(brand_of(other), "AMD Example 9 Processor");
    EXPECT_EQ(other.answer(0x8000001d, 1, must_not_be_asked), amd_host().at({0x8000001d, 1}));
    EXPECT_EQ(on_amd(other, 0x8000001e, 0, 12).eax, 12U);
    EXPECT_FALSE(other.above_maximum_repeats_highest());
}

TEST(VirtualCpuidNamed, ALevelWithNodesHasTheChosenNodesNameOnEveryMachine) {
    const auto cpuid = VirtualCpuid::build(level_of_node(amd_host()), intel_host());
    EXPECT_EQ(brand_of(cpuid), "AMD Example 9 Processor");
    EXPECT_EQ(cpuid.answer(4, 0, must_not_be_asked), kZeros) << "nothing of the machine's own caches";
    EXPECT_EQ(cpuid.answer(2, 0, must_not_be_asked), kZeros);
}

TEST(VirtualCpuidNamed, ANodeThatCameWithoutCpuidIsSpelledOut) {
    level::Level level = named("x86-64-v2");
    level.identity = profile::Identity{.vendor = "GenuineIntel", .brand = "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz",
                                       .family = 6, .model = 0x3c, .stepping = 3};
    const auto cpuid = VirtualCpuid::build(level, amd_host());
    arch::CpuidDump dump;
    for (const std::uint32_t leaf : {0U, 1U, 0x80000002U, 0x80000003U, 0x80000004U}) {
        dump[{leaf, 0}] = on_amd(cpuid, leaf, 0);
    }
    const arch::X86Identity shown = arch::x86_identity(dump);
    EXPECT_EQ(shown.vendor, "GenuineIntel");
    EXPECT_EQ(shown.brand, "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz");
    EXPECT_EQ(shown.family, 6U);
    EXPECT_EQ(shown.model, 0x3cU);
    EXPECT_EQ(shown.stepping, 3U);
    level.identity = profile::Identity{.vendor = "AuthenticAMD", .brand = "", .family = 0x19, .model = 0x61, .stepping = 2};
    dump[{1, 0}] = on_amd(VirtualCpuid::build(level, amd_host()), 1, 0);
    EXPECT_EQ(arch::x86_identity(dump).family, 0x19U);
    EXPECT_EQ(arch::x86_identity(dump).model, 0x61U);
}

TEST(VirtualCpuidNamed, Leaf2SaysOnceWhereItIs) {
    level::Level level = level_of_node(intel_host());
    level.cpuid.erase({2, 0});
    EXPECT_EQ(VirtualCpuid::build(level, intel_host()).answer(2, 0, must_not_be_asked), (CpuidRegisters{1, 0, 0, 0}));
}

TEST(VirtualCpuidNamed, NeverFieldsAreZeroWhateverTheDumpHolds) {
    arch::CpuidDump node = intel_host();
    node[{3, 0}] = {1, 2, 3, 4};      // a serial number
    node[{0x12, 0}] = {1, 2, 3, 4};   // SGX
    level::Level level = level_of_node(node);
    level.features -= arch::table(arch::Architecture::x86_64).in_leaf(0x12, 0);
    const auto cpuid = VirtualCpuid::build(level, node);
    EXPECT_EQ(cpuid.answer(3, 0, must_not_be_asked), kZeros);
    EXPECT_EQ(cpuid.answer(0x12, 0, must_not_be_asked), kZeros);
}

}  // namespace
}  // namespace cpulevel::cpuid
