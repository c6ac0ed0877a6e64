// The rules one by one, and each of the deaths that levelling.md measured: what the level must do so that it does not
// happen.
#include "level/meet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "level/level_json.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool has(const Level& level, std::string_view name) { return level.features.contains(id(name)); }

profile::NodeProfile nehalem() { return node({.name = "nehalem"}); }
profile::NodeProfile haswell() {
    return node({.name = "haswell", .level = "x86-64-v3", .more = {"rtm", "xsaveopt"}, .xsave = intel_layout(kAvx)});
}
profile::NodeProfile ice_lake() {
    return node({.name = "icelake",
                 .level = "x86-64-v4",
                 .more = {"xsaveopt", "xsavec", "avx512_vnni", "pku", "gfni", "vaes", "aes"},
                 .xsave = intel_layout(kAvx512Pku),
                 .signal_stack = 3632});
}
profile::NodeProfile genoa() {
    return node({.name = "genoa",
                 .level = "x86-64-v4",
                 .more = {"xsaveopt", "xsavec", "avx512_vnni", "pku", "gfni", "vaes", "aes", "sse4a"},
                 .xsave = amd_layout(kAvx512Pku),
                 .signal_stack = 3376,
                 .vendor = "AuthenticAMD"});
}

TEST(Meet, OneNodeKeepsWhatItHas) {
    const Meet met = must_meet({ice_lake()});
    EXPECT_EQ(met.level.features, ice_lake().features);
    EXPECT_THAT(met.losses, IsEmpty());
    EXPECT_EQ(met.level.name, "meet of icelake");
}

TEST(Meet, SampleLayoutsAreThoseOfRealMachines) {
    EXPECT_EQ(intel_layout(kAvx512Pku).standard_size, 2696U);
    EXPECT_EQ(amd_layout(kAvx512Pku).standard_size, 2440U);
}

// Haswell -> Nehalem: SIGILL at once.
TEST(Death, InstructionsThatTheSmallerMachineLacks) {
    const Meet met = must_meet({haswell(), nehalem()});
    EXPECT_FALSE(has(met.level, "avx2"));
    EXPECT_EQ(loss_of(met, "avx2")->reason, LossReason::absent);
    EXPECT_THAT(loss_of(met, "avx2")->lacking, ElementsAre("nehalem"));
}

// "The next death was XTEST in libc."
TEST(Death, RtmIsLevelledToo) {
    auto skylake = haswell();
    skylake.name = "no-tsx";
    skylake.features.erase(id("rtm"));
    refresh(skylake);
    const Meet met = must_meet({haswell(), skylake});
    EXPECT_FALSE(has(met.level, "rtm"));
    EXPECT_TRUE(has(met.level, "avx2"));
    EXPECT_EQ(arch::find(met.level.cpuid, 7)->ebx >> 11U & 1U, 0U);
}

// "Then XSAVEC in ld.so", and without it glibc takes plain XSAVE with the size of leaf 0xD.
TEST(Death, XsavecOnlyWhereEveryNodeHasItAndTellsItsSize) {
    const Meet met = must_meet({haswell(), ice_lake()});
    EXPECT_FALSE(has(met.level, "xsavec"));
    EXPECT_EQ(met.level.xsave->compacted_size, 0U);
    EXPECT_EQ(arch::find(met.level.cpuid, 0xD, 1)->eax >> 1U & 1U, 0U);

    auto silent = ice_lake();
    silent.name = "silent";
    silent.xsave->compacted_size = 0;
    const Meet unsure = must_meet({ice_lake(), silent});
    EXPECT_FALSE(has(unsure.level, "xsavec"));
    EXPECT_EQ(loss_of(unsure, "xsavec")->reason, LossReason::unknown);
    EXPECT_THAT(loss_of(unsure, "xsavec")->undescribed, ElementsAre("silent"));

    const Meet both = must_meet({ice_lake(), ice_lake()});
    EXPECT_TRUE(has(both.level, "xsavec"));
    EXPECT_EQ(both.level.xsave->compacted_size, ice_lake().xsave->compacted_size);
}

// Haswell -> Skylake-X: the first lazily bound call corrupts the stack, because its buffer is Haswell's.
TEST(Death, TheXsaveAreaIsTheLargestOfAllNodes) {
    const Meet met = must_meet({haswell(), ice_lake()});
    ASSERT_TRUE(met.level.xsave);
    EXPECT_EQ(met.level.xsave->standard_size, 2696U);
    EXPECT_EQ(met.level.xsave->largest_node, "icelake");
    EXPECT_EQ(met.level.xsave->visible, kAvx);
    const auto leaf = arch::find(met.level.cpuid, 0xD, 0);
    ASSERT_TRUE(leaf);
    EXPECT_EQ(leaf->eax, kAvx);
    EXPECT_EQ(leaf->ebx, 2696U);
    EXPECT_EQ(leaf->ecx, 2696U);
    // The hidden components keep their size and nothing else (UNION).
    EXPECT_EQ(arch::find(met.level.cpuid, 0xD, 7)->eax, 1024U);
    EXPECT_EQ(arch::find(met.level.cpuid, 0xD, 7)->ebx, 0U);
}

// "Masking AVX without OSXSAVE does not help."
TEST(Death, OsxsaveIsHiddenWithTheLastFeatureThatUsesIt) {
    auto no_avx = haswell();
    no_avx.name = "noavx";
    no_avx.features = x86().closed_subset(no_avx.features - set_of({"avx"}));
    refresh(no_avx);
    ASSERT_TRUE(no_avx.features.contains(id("osxsave")));
    const Meet met = must_meet({no_avx, ice_lake()});
    EXPECT_FALSE(has(met.level, "osxsave"));
    EXPECT_FALSE(has(met.level, "xsaveopt"));
    EXPECT_FALSE(met.level.xsave);
    EXPECT_EQ(loss_of(met, "osxsave")->reason, LossReason::consistency);
    EXPECT_FALSE(arch::find(met.level.cpuid, 0xD, 0));
    EXPECT_EQ(arch::find(met.level.cpuid, 1)->ecx >> 27U & 1U, 0U);
    EXPECT_EQ(met.xsave_area->bytes, 2696U);  // still told
}

// "AVX512F off leaves AVX512VL and BW on, unless the closure is applied."
TEST(Death, HidingABaseHidesWhatNeedsIt) {
    auto broken = ice_lake();
    broken.name = "no-avx512f";
    broken.features.erase(id("avx512f"));
    refresh(broken);
    ASSERT_TRUE(broken.features.contains(id("avx512vl")));
    const Meet met = must_meet({ice_lake(), broken});
    EXPECT_FALSE(has(met.level, "avx512vl"));
    EXPECT_EQ(loss_of(met, "avx512f")->reason, LossReason::absent);
    EXPECT_EQ(loss_of(met, "avx512vl")->reason, LossReason::closure);
    EXPECT_THAT(loss_of(met, "avx512vl")->missing_needs, Contains(id("avx512f")));
    EXPECT_TRUE(has(met.level, "vaes"));  // exists without AVX-512
    EXPECT_TRUE(has(met.level, "gfni"));
}

TEST(Meet, ComponentsAtDifferentPlacesCannotBeShared) {
    const Meet met = must_meet({ice_lake(), genoa()});
    EXPECT_FALSE(has(met.level, "avx512f"));
    EXPECT_FALSE(has(met.level, "pku"));
    EXPECT_EQ(loss_of(met, "avx512f")->reason, LossReason::layout);
    EXPECT_THAT(loss_of(met, "avx512f")->detail, testing::AllOf(HasSubstr("1088 on icelake"), HasSubstr("832 on genoa")));
    EXPECT_THAT(loss_of(met, "pku")->detail, HasSubstr("component 9"));
    // The same XCR0, 0x2E7, but 2,440 and 2,696 bytes: the larger counts.
    EXPECT_EQ(met.level.xsave->standard_size, 2696U);
    EXPECT_EQ(met.level.xsave->visible, kAvx);
    EXPECT_TRUE(has(met.level, "avx2"));
    EXPECT_FALSE(has(met.level, "sse4a"));
}

TEST(Meet, SignalStackIsTheLargestAndNamesItsNode) {
    const Meet met = must_meet({haswell(), ice_lake(), nehalem()});
    EXPECT_EQ(met.level.minimum_signal_stack, 3632U);
    EXPECT_EQ(met.level.minimum_signal_stack_node, "icelake");
}

TEST(Meet, UnknownSizesAreTheLargestKnownWithAWarning) {
    auto imported = haswell();
    imported.name = "imported";
    imported.xsave.reset();
    imported.minimum_signal_stack.reset();
    const Meet met = must_meet({haswell(), imported});
    EXPECT_EQ(met.level.xsave->standard_size, arch::known_maxima().xsave_area);
    EXPECT_EQ(met.level.xsave->largest_node, "data");
    EXPECT_EQ(met.level.minimum_signal_stack, arch::known_maxima().minimum_signal_stack);
    EXPECT_THAT(met.level.warnings, Contains(HasSubstr("imported: its description does not give the size")));
    EXPECT_THAT(met.level.warnings, Contains(HasSubstr("AT_MINSIGSTKSZ of imported is not known")));
    EXPECT_TRUE(has(met.level, "avx2"));  // component 2 stands at 576 on every CPU

    auto icelake = ice_lake();
    icelake.xsave.reset();
    const Meet unsure = must_meet({ice_lake(), icelake});
    EXPECT_FALSE(has(unsure.level, "avx512f"));
    EXPECT_TRUE(unsure.level.undetermined.contains(id("avx512f")));
}

TEST(Meet, WhatADescriptionDoesNotSayIsHiddenAndListed) {
    auto partial = haswell();
    partial.name = "partial";
    partial.known.erase(id("bmi2"));
    partial.features.erase(id("bmi2"));
    const Meet met = must_meet({haswell(), partial});
    EXPECT_FALSE(has(met.level, "bmi2"));
    EXPECT_TRUE(met.level.undetermined.contains(id("bmi2")));
    EXPECT_EQ(loss_of(met, "bmi2")->reason, LossReason::unknown);
    EXPECT_THAT(loss_of(met, "bmi2")->undescribed, ElementsAre("partial"));
    EXPECT_THAT(met.level.warnings, Contains(HasSubstr("bmi2")));

    // A node that says no outweighs one that says nothing.
    auto denying = haswell();
    denying.name = "denying";
    denying.features.erase(id("bmi2"));
    const Meet denied = must_meet({haswell(), partial, denying});
    EXPECT_EQ(loss_of(denied, "bmi2")->reason, LossReason::absent);
    EXPECT_FALSE(denied.level.undetermined.contains(id("bmi2")));
}

TEST(Meet, SwitchedOffBySystemIsTold) {
    auto off = ice_lake();
    off.name = "off";
    off.features = x86().closed_subset(off.features - set_of({"avx512f"}));  // the dump still shows it
    const Meet met = must_meet({ice_lake(), off});
    EXPECT_THAT(loss_of(met, "avx512f")->switched_off, ElementsAre("off"));
}

TEST(Meet, NeverFeaturesOnlyByName) {
    auto amx = ice_lake();
    amx.features |= set_of({"amx_tile"});
    amx.xsave->xcr0 |= 0x60000;
    amx.xsave->components[17] = {.size = 64, .offset = 2752, .supervisor = false, .aligned = true};
    amx.xsave->components[18] = {.size = 8192, .offset = 2816, .supervisor = false, .aligned = true};
    amx.xsave->standard_size = amx.xsave->maximum_size = 11008;
    refresh(amx);
    const Meet met = must_meet({amx, amx});
    EXPECT_FALSE(has(met.level, "amx_tile"));
    EXPECT_EQ(loss_of(met, "amx_tile")->reason, LossReason::never);
    EXPECT_EQ(met.level.xsave->visible & 0x60000U, 0U);
    EXPECT_EQ(met.level.xsave->standard_size, 11008U);  // XCR0 has it all the same

    MeetOptions options;
    options.allow = set_of({"amx_tile"});
    const Meet allowed = must_meet({amx, amx}, options);
    EXPECT_TRUE(has(allowed.level, "amx_tile"));
    EXPECT_THAT(allowed.level.warnings, Contains(HasSubstr("amx_tile was turned on by name")));
    EXPECT_FALSE(has(must_meet({amx, ice_lake()}, options).level, "amx_tile"));
}

TEST(Meet, CpuidFieldsByRule) {
    auto a = haswell();
    auto b = ice_lake();
    auto& da = a.cpus.front().cpuid;
    auto& db = b.cpus.front().cpuid;
    da[{0, 0}].eax = 0xD;                    // MIN
    db[{0, 0}].eax = 0x1B;
    da[{1, 0}].ebx = 0x03000800;             // APIC id: LIVE; CLFLUSH size: EQUAL
    db[{1, 0}].ebx = 0x05000800;
    da[{2, 0}].eax = 0x76036301;             // NAMED
    db[{2, 0}].eax = 0x00feff01;
    da[{1, 0}].eax = 0x306c3;
    db[{1, 0}].eax = 0x606a6;
    db[{0x40000099, 0}].eax = 0x12345678;    // described nowhere
    const Meet first = must_meet({a, b});
    EXPECT_EQ(arch::find(first.level.cpuid, 0)->eax, 0xDU);
    EXPECT_EQ(arch::find(first.level.cpuid, 1)->ebx, 0x0800U);
    EXPECT_EQ(arch::find(first.level.cpuid, 2)->eax, 0x76036301U);
    EXPECT_EQ(arch::find(first.level.cpuid, 1)->eax, 0x306c3U);
    MeetOptions options;
    options.chosen = 1;
    const Meet second = must_meet({a, b}, options);
    EXPECT_EQ(arch::find(second.level.cpuid, 1)->eax, 0x606a6U);
    EXPECT_EQ(second.level.identity->brand, "CPU of icelake");
}

TEST(Meet, HybridNodeIsTheMeetOfItsCpus) {
    auto hybrid = haswell();
    hybrid.cpus.push_back(hybrid.cpus.front());
    hybrid.cpus.back().cpuid[{0, 0}].eax = 0x7;
    const Meet met = must_meet({hybrid});
    // MIN would be 7, but leaf 0xD must be reached where OSXSAVE is shown.
    EXPECT_EQ(arch::find(met.level.cpuid, 0)->eax, 0xDU);
}

TEST(Meet, HwcapFollowsTheFeatures) {
    auto imported = nehalem();
    imported.hwcap = {};
    imported.features.erase(id("clflush"));
    const Meet met = must_meet({haswell(), imported});
    ASSERT_TRUE(met.level.hwcap[0]);
    EXPECT_EQ(*met.level.hwcap[0], x86().to_hwcap(met.level.features, 0));
    EXPECT_EQ(*met.level.hwcap[0] >> 19U & 1U, 0U);  // clflush
    ASSERT_TRUE(met.level.hwcap[1]);
    EXPECT_EQ(*met.level.hwcap[1], 0U);
}

TEST(Meet, RefusalsNameTheNodes) {
    const std::vector mixed{nehalem(), arm_node("graviton", {"asimd"})};
    const auto refused = meet(mixed);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::refused);
    EXPECT_THAT(refused.error().why, testing::AllOf(HasSubstr("nehalem is x86_64"), HasSubstr("graviton is aarch64")));
    EXPECT_FALSE(meet({}));
}

TEST(MeetArm, CpuidBitIsHiddenUnlessKept) {
    const auto& table = arch::table(arch::Architecture::aarch64);
    const std::vector nodes{arm_node("a", {"asimd", "cpuid"}), arm_node("b", {"asimd", "cpuid"})};
    EXPECT_FALSE(must_meet(nodes).level.features.contains(id("cpuid", table)));
    EXPECT_EQ(*must_meet(nodes).level.hwcap[0] >> 11U & 1U, 0U);  // HWCAP_CPUID
    MeetOptions options;
    options.keep_cpuid = true;
    EXPECT_TRUE(must_meet(nodes, options).level.features.contains(id("cpuid", table)));
}

TEST(MeetArm, EqualRegistersMustBeEqual) {
    std::vector nodes{arm_node("a", {"asimd"}), arm_node("b", {"asimd"})};
    nodes[1].registers["CTR_EL0"] ^= 1U << 14U;  // the cache policy: nobody's business
    EXPECT_TRUE(meet(nodes));
    nodes[1].registers["DCZID_EL0"] = 5;
    const auto refused = meet(nodes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::refused);
    EXPECT_EQ(refused.error().on, "DCZID_EL0");
    EXPECT_THAT(refused.error().why, testing::AllOf(HasSubstr("0x4 on a"), HasSubstr("0x5 on b")));
    nodes[1].registers["DCZID_EL0"] = 4;
    nodes[1].page_size = 65536;
    EXPECT_FALSE(meet(nodes));
}

TEST(MeetArm, WhatCannotBeHiddenMayBeAcceptedAndIsThenNotPromised) {
    std::vector nodes{arm_node("a", {"asimd"}), arm_node("b", {"asimd"})};
    nodes[1].registers["CTR_EL0"] ^= 1U << 28U;  // IDC, which compilers at run time latch
    EXPECT_FALSE(meet(nodes));
    MeetOptions accepting;
    accepting.accept_unmaskable = true;
    const auto accepted = meet(nodes, accepting);
    ASSERT_TRUE(accepted);
    EXPECT_FALSE(accepted->level.registers.contains("CTR_EL0"));
    EXPECT_TRUE(accepted->level.registers.contains("DCZID_EL0"));
    EXPECT_THAT(accepted->level.warnings, testing::Contains(HasSubstr("CTR_EL0 (0x8444c004 on a, 0x9444c004 on b)")));
    nodes[1].page_size = 65536;
    EXPECT_FALSE(meet(nodes, accepting));
}

TEST(MeetArm, VectorLengthIsTheSmallest) {
    std::vector nodes{arm_node("a", {"sve"}), arm_node("b", {"sve"})};
    nodes[0].registers["sve_vector_length"] = 32;
    nodes[1].registers["sve_vector_length"] = 16;
    EXPECT_EQ(must_meet(nodes).level.registers.at("sve_vector_length"), 16U);
}

TEST(MeetArm, HintSpaceDifferencesAreRefused) {
    const auto& table = arch::table(arch::Architecture::aarch64);
    const std::vector nodes{arm_node("n1", {"asimd"}), arm_node("v1", {"asimd", "paca"})};
    ASSERT_TRUE(table[id("paca", table)].hint_space);
    const auto refused = meet(nodes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::refused);
    EXPECT_THAT(refused.error().on, HasSubstr("paca is on v1, not on n1"));
    MeetOptions options;
    options.accept_unmaskable = true;
    const Meet met = must_meet(nodes, options);
    EXPECT_FALSE(met.level.features.contains(id("paca", table)));
    EXPECT_THAT(met.level.warnings, Contains(HasSubstr("paca")));
}

}  // namespace
}  // namespace cpulevel::level::test
