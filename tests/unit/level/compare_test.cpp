#include "level/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "level/expression.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

profile::NodeProfile haswell() {
    return node({.name = "haswell", .level = "x86-64-v3", .xsave = intel_layout(kAvx)});
}
profile::NodeProfile skylake_x() {
    return node({.name = "skx", .level = "x86-64-v4", .xsave = intel_layout(kAvx512), .signal_stack = 3632});
}
profile::NodeProfile genoa() {
    return node({.name = "genoa", .level = "x86-64-v4", .xsave = amd_layout(kAvx512), .signal_stack = 3376});
}
profile::NodeProfile nehalem() { return node({.name = "nehalem"}); }

TEST(Compare, NodesOfALevelAnswerYes) {
    const std::vector nodes{haswell(), skylake_x(), genoa()};
    const Level level = must_meet(nodes).level;
    for (const auto& machine : nodes) {
        EXPECT_EQ(may_start(level, machine).verdict, Verdict::yes) << machine.name;
        EXPECT_EQ(may_be_restored(level, machine).verdict, Verdict::yes) << machine.name;
        for (const auto& other : nodes) EXPECT_EQ(may_move(level, machine, other).verdict, Verdict::yes);
    }
}

TEST(Compare, MissingFeaturesAreNamed) {
    const Answer answer = may_start(must_meet({haswell()}).level, nehalem());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.contains(id("avx2")));
    EXPECT_THAT(answer.reasons, Contains(HasSubstr("nehalem lacks")));
}

// The upward move: every feature is there, and yet the program would die, because its buffer is too small.
// A named level takes the places of XSAVE components from the machine at hand; what that machine has not stays asked for.
TEST(Compare, NamedLevelDoesNotShrinkToTheMachine) {
    const profile::NodeProfile here = haswell();
    const Level level = *parse_level("x86-64-v4", arch::Architecture::x86_64, &*here.xsave);
    EXPECT_TRUE(level.features.contains(id("avx512f")));
    const Answer answer = may_start(level, here);
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.contains(id("avx512f")));
}

TEST(Compare, UpwardMoveFailsBySizes) {
    const Answer answer = may_start(must_meet({haswell()}).level, skylake_x());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_TRUE(answer.missing.empty());
    EXPECT_THAT(answer.reasons, Contains(testing::AllOf(HasSubstr("2688"), HasSubstr("832"), HasSubstr("skx"))));
    // The same level with SSE only has no XSAVE promise to break.
    EXPECT_EQ(may_start(must_meet({haswell(), nehalem()}).level, skylake_x()).verdict, Verdict::yes);
}

TEST(Compare, StartAndRestoreAreDifferentQuestions) {
    const Level small = must_meet({nehalem()}).level;  // promises 2632 bytes of signal stack
    EXPECT_EQ(may_start(small, skylake_x()).verdict, Verdict::yes);
    const Answer restored = may_be_restored(small, skylake_x());
    EXPECT_EQ(restored.verdict, Verdict::no);
    EXPECT_THAT(restored.reasons, Contains(testing::AllOf(HasSubstr("3632"), HasSubstr("2632"))));
    // Started on skx itself, the process was promised skx's own value.
    EXPECT_EQ(may_move(small, skylake_x(), genoa()).verdict, Verdict::yes);
    EXPECT_EQ(may_move(small, nehalem(), skylake_x()).verdict, Verdict::no);
}

TEST(Compare, SignalFramesOfLargerMachinesAreACaution) {
    const Level level = must_meet({haswell(), skylake_x()}).level;
    EXPECT_THAT(may_be_restored(level, haswell()).cautions, Contains(HasSubstr("0xe0")));
    EXPECT_THAT(may_be_restored(level, skylake_x()).cautions, IsEmpty());
    EXPECT_THAT(may_move(level, haswell(), skylake_x()).cautions, IsEmpty());
    EXPECT_THAT(may_move(level, skylake_x(), haswell()).cautions, Contains(HasSubstr("signal handler")));
}

TEST(Compare, PlacesOfComponentsCount) {
    auto large = skylake_x();  // large enough for both, so that only the places differ
    large.xsave->standard_size = 4096;
    const Answer answer = may_start(must_meet({large}).level, genoa());
    EXPECT_EQ(answer.verdict, Verdict::no);
    EXPECT_THAT(answer.reasons, Contains(HasSubstr("component 5")));
}

TEST(Compare, SilenceIsUnknownNotYes) {
    auto silent = haswell();
    silent.known.erase(id("bmi2"));
    silent.features.erase(id("bmi2"));
    const Level level = must_meet({haswell()}).level;
    const Answer answer = may_start(level, silent);
    EXPECT_EQ(answer.verdict, Verdict::unknown);
    EXPECT_TRUE(answer.undescribed.contains(id("bmi2")));
    silent.features.erase(id("avx2"));
    EXPECT_EQ(may_start(level, silent).verdict, Verdict::no);  // no outweighs unknown

    auto unsized = haswell();
    unsized.xsave.reset();
    EXPECT_EQ(may_start(level, unsized).verdict, Verdict::unknown);
    EXPECT_EQ(may_start(*parse_level("x86-64-v3", arch::Architecture::x86_64), unsized).verdict, Verdict::yes);
}

TEST(Compare, OtherArchitecture) {
    EXPECT_EQ(may_start(must_meet({haswell()}).level, arm_node("arm", {"asimd"})).verdict, Verdict::no);
    EXPECT_FALSE(compare(haswell(), arm_node("arm", {"asimd"})).same_architecture);
}

TEST(Compare, ArmVectorLengthAndHintSpace) {
    auto a = arm_node("a", {"sve"});
    auto b = arm_node("b", {"sve"});
    a.registers["sve_vector_length"] = 32;
    b.registers["sve_vector_length"] = 16;
    EXPECT_EQ(may_start(must_meet({a}).level, b).verdict, Verdict::no);
    EXPECT_EQ(may_start(must_meet({b}).level, a).verdict, Verdict::yes);
    const auto signing = arm_node("signing", {"sve", "paca"});
    const Level plain = must_meet({arm_node("plain", {"asimd"})}).level;
    EXPECT_EQ(may_move(plain, signing, arm_node("plain", {"asimd"})).verdict, Verdict::no);
}

TEST(Compare, LevelAgainstLevel) {
    const auto level = [](std::string_view text) { return *parse_level(text, arch::Architecture::x86_64); };
    EXPECT_EQ(may_serve(level("x86-64-v2"), level("x86-64-v3")).verdict, Verdict::yes);
    EXPECT_EQ(may_serve(level("x86-64-v3"), level("x86-64-v2")).verdict, Verdict::no);
}

TEST(Compare, DifferencesOfTwoProfiles) {
    auto partial = haswell();
    partial.known.erase(id("bmi1"));
    partial.features.erase(id("bmi1"));
    const Difference difference = compare(partial, skylake_x());
    EXPECT_TRUE(difference.only_a.empty());
    EXPECT_TRUE(difference.only_b.contains(id("avx512f")));
    EXPECT_TRUE(difference.unsure.contains(id("bmi1")));
    EXPECT_TRUE(difference.both.contains(id("avx2")));
    const auto at = std::ranges::find(difference.values, "XSAVE area (enabled)", &ValueDifference::what);
    ASSERT_NE(at, difference.values.end());
    EXPECT_EQ(at->a, "832");
    EXPECT_EQ(at->b, "2688");
    EXPECT_TRUE(compare(haswell(), haswell()).values.empty());
}

}  // namespace
}  // namespace cpulevel::level::test
