// The table of docs/levelling.md, "What happens without levelling: measured": each move that killed a program, first as
// it was (unlevelled: the machine it started on is its level), then under the level of both machines. Named after the
// move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "level/compare.h"
#include "level/named.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr std::uint64_t kSpr = 0x600E7;  // as measured: AVX-512 and AMX, without protection keys

profile::XsaveLayout spr_layout() {
    profile::XsaveLayout layout = intel_layout(kSpr);
    layout.components[17] = {.size = 64, .offset = 2752, .supervisor = false, .aligned = true};
    layout.components[18] = {.size = 8192, .offset = 2816, .supervisor = false, .aligned = true};
    layout.standard_size = layout.maximum_size = 11008;
    layout.compacted_size = 10752;
    return layout;
}

profile::NodeProfile nehalem() { return node({.name = "nehalem", .signal_stack = 1440}); }
profile::NodeProfile haswell() {
    return node({.name = "haswell",
                 .level = "x86-64-v3",
                 .more = {"rtm", "xsaveopt"},
                 .xsave = intel_layout(kAvx),
                 .signal_stack = 1808});
}
profile::NodeProfile skylake_x() {
    return node({.name = "skylake-x",
                 .level = "x86-64-v4",
                 .more = {"rtm", "xsaveopt", "xsavec"},
                 .xsave = intel_layout(kAvx512),
                 .signal_stack = 3632});
}
profile::NodeProfile spr() {
    return node({.name = "spr",
                 .level = "x86-64-v4",
                 .more = {"xsaveopt", "xsavec", "avx512_vnni", "gfni", "vaes", "amx_tile"},
                 .xsave = spr_layout(),
                 .signal_stack = 11952});
}

bool has(const Level& level, std::string_view name) { return level.features.contains(id(name)); }
std::uint32_t leaf_bit(const Level& level, std::uint32_t leaf, std::uint32_t subleaf, arch::Register reg,
                       unsigned bit) {
    return arch::find(level.cpuid, leaf, subleaf).value_or(arch::CpuidRegisters{}).get(reg) >> bit & 1U;
}
bool shows_osxsave(const Level& level) { return leaf_bit(level, 1, 0, arch::Register::ecx, 27) != 0; }

// A program that was not levelled carries what its machine offers.
Level unlevelled(const profile::NodeProfile& machine) { return must_meet({machine}).level; }

// Levelled by both, it may go both ways.
void expect_moves(const Level& level, const profile::NodeProfile& from, const profile::NodeProfile& to) {
    for (const auto* machine : {&from, &to}) {
        const Answer answer = may_be_restored(level, *machine);
        EXPECT_EQ(answer.verdict, Verdict::yes) << machine->name << ": " << testing::PrintToString(answer.reasons);
        EXPECT_EQ(may_start(level, *machine).verdict, Verdict::yes) << machine->name;
    }
    EXPECT_EQ(may_move(level, from, to).verdict, Verdict::yes);
}

// glibc masked to SSE: what the table's last column did by hand.
void expect_masked_to_sse(const Level& level) {
    for (const char* feature : {"avx", "avx2", "avx512f", "rtm", "osxsave", "xsavec", "xsaveopt"}) {
        EXPECT_FALSE(has(level, feature)) << feature;
    }
    EXPECT_FALSE(shows_osxsave(level));
    EXPECT_FALSE(level.xsave);
    EXPECT_FALSE(arch::find(level.cpuid, 0xD, 0));  // no layout at all: the FXSAVE resolver
    EXPECT_EQ(leaf_bit(level, 7, 0, arch::Register::ebx, 11), 0U);
}

TEST(MoveHaswellToNehalem, UnlevelledDiesOfSigill) {
    const Answer answer = may_be_restored(unlevelled(haswell()), nehalem());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.contains(id("avx2")));
}

TEST(MoveHaswellToNehalem, LevelledToSseSurvives) {
    const Level level = must_meet({haswell(), nehalem()}).level;
    expect_masked_to_sse(level);
    expect_moves(level, haswell(), nehalem());
}

TEST(MoveSprToNehalem, UnlevelledDiesOfSigill) {
    const Answer answer = may_be_restored(unlevelled(spr()), nehalem());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.contains(id("avx512f")));
    EXPECT_TRUE(answer.missing.contains(id("xsavec")));
}

TEST(MoveSprToNehalem, LevelledToSseSurvives) {
    const Level level = must_meet({spr(), nehalem()}).level;
    expect_masked_to_sse(level);
    expect_moves(level, spr(), nehalem());
}

TEST(MoveSprToHaswell, UnlevelledDiesOfSigillThoughCriuSaysNothing) {
    const Answer answer = may_be_restored(unlevelled(spr()), haswell());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.contains(id("avx512f")));
    EXPECT_TRUE(answer.missing.contains(id("xsavec")));  // the death in ld.so after AVX-512 was off
}

TEST(MoveSprToHaswell, LevelledKeepsAvx2AndPromisesTheLargerArea) {
    const Level level = must_meet({spr(), haswell()}).level;
    EXPECT_TRUE(has(level, "avx2"));
    EXPECT_FALSE(has(level, "avx512f"));
    EXPECT_FALSE(has(level, "xsavec"));
    EXPECT_FALSE(has(level, "rtm"));
    ASSERT_TRUE(level.xsave);
    EXPECT_EQ(level.xsave->standard_size, 11008U);
    expect_moves(level, spr(), haswell());
}

// XTEST in libc was the next death after AVX-512 alone was off: RTM on one side only is in no level of both.
TEST(MoveSkylakeXToSpr, RtmIsHiddenWhereOneSideHasNone) {
    EXPECT_TRUE(may_be_restored(unlevelled(skylake_x()), spr()).missing.contains(id("rtm")));
    const Level level = must_meet({skylake_x(), spr()}).level;
    EXPECT_FALSE(has(level, "rtm"));
    EXPECT_EQ(leaf_bit(level, 7, 0, arch::Register::ebx, 11), 0U);
    EXPECT_TRUE(has(level, "avx512f"));
    expect_moves(level, skylake_x(), spr());
}

// CRIU restores without a word, it runs, then the first lazily bound call corrupts the stack.
TEST(MoveHaswellToSpr, UnlevelledWritesPastTheResolversBuffer) {
    auto without_tsx = haswell();  // so that nothing but the size is against it
    without_tsx.features.erase(id("rtm"));
    refresh(without_tsx);
    const Answer answer = may_be_restored(unlevelled(without_tsx), spr());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.empty());
    EXPECT_THAT(answer.reasons, Contains(HasSubstr("XSAVE writes 11008 bytes on spr, the level promises 832")));
}

TEST(MoveHaswellToSpr, LevelledNeverShowsASmallLeafDWithOsxsave) {
    const Level level = must_meet({haswell(), spr()}).level;
    ASSERT_TRUE(shows_osxsave(level));
    EXPECT_EQ(arch::find(level.cpuid, 0xD, 0)->ebx, 11008U);
    EXPECT_EQ(arch::find(level.cpuid, 0xD, 0)->eax, kAvx);
    // UNION: hidden components keep their size for programs that add sizes up.
    EXPECT_EQ(arch::find(level.cpuid, 0xD, 7)->eax, 1024U);
    EXPECT_EQ(arch::find(level.cpuid, 0xD, 18)->eax, 8192U);
    EXPECT_EQ(level.minimum_signal_stack, 11952U);  // MAX: an alternate stack that is large enough for SPR's frames
    expect_moves(level, haswell(), spr());
}

TEST(MoveHaswellToSkylakeX, UnlevelledWritesPastTheResolversBuffer) {
    const Answer answer = may_be_restored(unlevelled(haswell()), skylake_x());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_THAT(answer.reasons, Contains(HasSubstr("the level promises 832")));
}

TEST(MoveHaswellToSkylakeX, LevelledSurvives) {
    const Level level = must_meet({haswell(), skylake_x()}).level;
    EXPECT_EQ(arch::find(level.cpuid, 0xD, 0)->ebx, 2688U);
    expect_moves(level, haswell(), skylake_x());
}

// "Masking AVX without OSXSAVE does not help": a level whose last user of XSAVE is gone hides OSXSAVE, by whatever way
// it lost AVX.
TEST(MoveHaswellToSpr, MaskingAvxAloneHidesOsxsaveToo) {
    auto masked = haswell();
    masked.features = x86().closed_subset(masked.features - set_of({"avx"}));
    refresh(masked);
    ASSERT_TRUE(masked.features.contains(id("osxsave")));
    const Level level = must_meet({masked, spr()}).level;
    expect_masked_to_sse(level);
    expect_moves(level, haswell(), spr());
}

TEST(MoveNehalemToAnythingLarger, NothingButTheSignalStackIsAgainstIt) {
    const Level level = unlevelled(nehalem());
    EXPECT_FALSE(level.xsave);
    for (const auto& larger : {haswell(), skylake_x(), spr()}) {
        const Answer answer = may_be_restored(level, larger);
        EXPECT_TRUE(answer.missing.empty()) << larger.name;
        for (const std::string& reason : answer.reasons) EXPECT_THAT(reason, HasSubstr("signal frame"));
        const Level both = must_meet({nehalem(), larger}).level;
        expect_moves(both, nehalem(), larger);
    }
}

// "CRIU's fpu check wants equal XSAVE sizes, so it refuses good upward moves": a larger area is no reason by itself.
TEST(MoveHaswellToSpr, ALargerAreaIsNoReasonWhereItWasPromised) {
    const Level level = must_meet({haswell(), spr()}).level;
    ASSERT_NE(haswell().xsave->standard_size, spr().xsave->standard_size);
    EXPECT_EQ(may_be_restored(level, spr()).verdict, Verdict::yes);
}

// The chain native -> Nehalem -> Haswell -> native, under one level.
TEST(MoveChain, SprNehalemHaswellSpr) {
    const Level level = must_meet({spr(), nehalem(), haswell()}).level;
    expect_masked_to_sse(level);
    expect_moves(level, spr(), nehalem());
    expect_moves(level, nehalem(), haswell());
    expect_moves(level, haswell(), spr());
}

// A named level has no machines: what it promises is enough for each of these moves.
TEST(MoveUnderNamedLevel, V3BetweenHaswellAndSpr) {
    const auto level = level_of(x86(), "x86-64-v3", features_of(x86(), *x86().find_level("x86-64-v3")), {});
    ASSERT_TRUE(level);
    EXPECT_TRUE(has(*level, "osxsave"));
    EXPECT_FALSE(has(*level, "xsavec"));
    EXPECT_GE(level->xsave->standard_size, 11008U);
    expect_moves(*level, haswell(), spr());
    const auto v2 = level_of(x86(), "x86-64-v2", features_of(x86(), *x86().find_level("x86-64-v2")), {});
    ASSERT_TRUE(v2);
    expect_masked_to_sse(*v2);
    expect_moves(*v2, spr(), nehalem());
}

// No program has found what only a kernel can use, so that none can miss it.
TEST(Moves, WhatOnlyAKernelCanUseRefusesNobody) {
    const Level level = unlevelled(node({.name = "old", .more = {"mtrr", "monitor", "aperfmperf"}}));
    ASSERT_TRUE(has(level, "mtrr"));
    const Answer answer = may_start(level, nehalem());
    EXPECT_EQ(answer.verdict, Verdict::yes) << testing::PrintToString(answer.reasons);
    EXPECT_TRUE(answer.missing.empty());
    EXPECT_THAT(answer.cautions, Contains(HasSubstr("mtrr")));
    const Level more = unlevelled(node({.name = "more", .more = {"mtrr", "rdrand"}}));
    const Answer no = may_start(more, nehalem());
    EXPECT_EQ(no.verdict, Verdict::no);
    EXPECT_TRUE(no.missing.contains(id("rdrand")));
    EXPECT_FALSE(no.missing.contains(id("mtrr")));
}

}  // namespace
}  // namespace cpulevel::level::test
