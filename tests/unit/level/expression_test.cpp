#include "level/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "level/level_json.h"
#include "level/named.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

using arch::Architecture;
using testing::Contains;
using testing::HasSubstr;

Result<Level> parse(std::string_view text) { return parse_level(text, Architecture::x86_64); }
bool has(const Level& level, std::string_view name) { return level.features.contains(id(name)); }

TEST(Expression, NamedLevelsHaveTheirFeaturesAndNoMore) {
    const auto v2 = parse("x86-64-v2");
    ASSERT_TRUE(v2);
    EXPECT_TRUE(has(*v2, "sse4_2"));
    EXPECT_TRUE(has(*v2, "popcnt"));
    EXPECT_TRUE(has(*v2, "fpu"));
    EXPECT_TRUE(has(*v2, "tsc"));
    EXPECT_FALSE(has(*v2, "avx"));
    EXPECT_FALSE(has(*v2, "aes"));
    EXPECT_FALSE(has(*v2, "osxsave"));
    EXPECT_FALSE(v2->xsave);
    EXPECT_FALSE(v2->identity);
    EXPECT_TRUE(v2->nodes.empty());
    EXPECT_EQ(v2->minimum_signal_stack, arch::known_maxima().minimum_signal_stack);
    EXPECT_FALSE(arch::find(v2->cpuid, 0xD));
}

TEST(Expression, LevelsWithAvxPromiseTheLargestKnownArea) {
    const auto v3 = parse("x86-64-v3");
    ASSERT_TRUE(v3);
    EXPECT_TRUE(has(*v3, "osxsave"));
    EXPECT_FALSE(has(*v3, "xsavec"));
    EXPECT_EQ(v3->xsave->standard_size, arch::known_maxima().xsave_area);
    EXPECT_EQ(v3->xsave->visible, kAvx);
    EXPECT_EQ(v3->xsave->components.at(2).offset, 576U);
    EXPECT_THAT(v3->warnings, Contains(HasSubstr("largest XSAVE area of any known CPU, 11008 bytes")));
    EXPECT_THAT(v3->warnings, testing::Not(Contains(HasSubstr("Intel"))));
}

TEST(Expression, AvxFiveTwelveStandsWhereIntelHasItOrWhereTheMachineHasIt) {
    const auto v4 = parse("x86-64-v4");
    ASSERT_TRUE(v4);
    EXPECT_EQ(v4->xsave->components.at(5).offset, 1088U);
    EXPECT_THAT(v4->warnings, Contains(HasSubstr("Intel")));
    const auto amd = amd_layout(kAvx512Pku);
    const auto here = parse_level("x86-64-v4", Architecture::x86_64, &amd);
    ASSERT_TRUE(here);
    EXPECT_EQ(here->xsave->components.at(5).offset, 832U);
}

TEST(Expression, AddsAndRemoves) {
    const auto level = parse("x86-64-v2+aes-popcnt");
    ASSERT_TRUE(level) << level.error().message();
    EXPECT_TRUE(has(*level, "aes"));
    EXPECT_FALSE(has(*level, "popcnt"));
    EXPECT_EQ(level->name, "x86-64-v2+aes-popcnt");
}

TEST(Expression, AddingAddsWhatIsNeededAndSaysSo) {
    const auto level = parse("x86-64-v2+avx2");
    ASSERT_TRUE(level);
    EXPECT_TRUE(has(*level, "avx"));
    EXPECT_TRUE(has(*level, "osxsave"));
    EXPECT_THAT(level->warnings, Contains(testing::AllOf(HasSubstr("avx2 needs"), HasSubstr("osxsave"))));
}

TEST(Expression, RemovingRemovesWhatNeedsItAndSaysSo) {
    const auto level = parse("x86-64-v4-avx2");
    ASSERT_TRUE(level);
    EXPECT_FALSE(has(*level, "avx512f"));
    EXPECT_TRUE(has(*level, "avx"));
    EXPECT_THAT(level->warnings, Contains(testing::AllOf(HasSubstr("without avx2"), HasSubstr("avx512f"))));
    const auto bare = parse("x86-64-v3-avx");
    ASSERT_TRUE(bare);
    EXPECT_FALSE(has(*bare, "osxsave"));  // the last feature that uses it is gone
    EXPECT_FALSE(bare->xsave);
}

TEST(Expression, NamesMayHaveTheOperatorsInThem) {
    const auto level = parse("x86-64-v4+avx512-vnni-avx512-vnni");
    ASSERT_TRUE(level) << level.error().message();
    EXPECT_FALSE(has(*level, "avx512_vnni"));
    const auto dotted = parse("x86-64+sse4.1");
    ASSERT_TRUE(dotted);
    EXPECT_TRUE(has(*dotted, "sse4_1"));
}

TEST(Expression, NeverFeaturesOnlyByNameAndWithAWarning) {
    const auto level = parse("x86-64-v4+amx_tile");
    ASSERT_TRUE(level) << level.error().message();
    EXPECT_TRUE(has(*level, "amx_tile"));
    EXPECT_THAT(level->warnings, Contains(HasSubstr("amx_tile was turned on by name")));
}

TEST(Expression, WhatCannotBeShownIsRefusedNotDropped) {
    const auto level = parse("x86-64-v3+xsavec");
    ASSERT_FALSE(level);
    EXPECT_EQ(level.error().on, "xsavec");
    EXPECT_THAT(level.error().hint, HasSubstr("baseline"));
}

TEST(Expression, MistakesAreNamed) {
    const auto feature = parse("x86-64-v2+aess");
    ASSERT_FALSE(feature);
    EXPECT_EQ(feature.error().kind, ErrorKind::usage);
    EXPECT_EQ(feature.error().on, "aess");
    EXPECT_EQ(feature.error().hint, "did you mean aes?");
    const auto level = parse("x86-64-v9");
    ASSERT_FALSE(level);
    EXPECT_THAT(level.error().hint, HasSubstr("x86-64-v4"));
    for (const char* wrong : {"", " ", "+aes", "x86-64-v2+", "x86-64-v2+-aes", "x86-64-v2++aes", "x86-64-v2 aes"}) {
        EXPECT_FALSE(parse(wrong)) << wrong;
    }
    EXPECT_FALSE(parse(std::string(100000, '-')));
    EXPECT_FALSE(parse_level("x86-64-v2", Architecture::aarch64));
}

TEST(Expression, EveryNamedLevelIsSoundAndInItsOrder) {
    for (const Architecture architecture : arch::architectures()) {
        for (const arch::NamedLevel& named : arch::table(architecture).levels()) {
            const auto level = parse_level(named.name, architecture);
            ASSERT_TRUE(level) << named.name << level.error().message();
            EXPECT_EQ(contradiction(*level), "") << named.name;
            EXPECT_EQ(level->features, features_of(arch::table(architecture), named)) << named.name;
            const auto again = from_json(to_json(*level), "level.json");
            ASSERT_TRUE(again) << named.name << again.error().message();
        }
    }
    EXPECT_TRUE(parse("x86-64")->features.is_subset_of(parse("x86-64-v2")->features));
    EXPECT_TRUE(parse("x86-64-v2")->features.is_subset_of(parse("x86-64-v3")->features));
    EXPECT_TRUE(parse("x86-64-v3")->features.is_subset_of(parse("x86-64-v4")->features));
}

TEST(Resolve, FileContentWinsOverTheWord) {
    const std::string json = to_json(*parse("x86-64-v3"));
    EXPECT_TRUE(has(*resolve_level("x86-64-v2", json, Architecture::x86_64), "avx2"));
    EXPECT_TRUE(has(*resolve_level("mine", "x86-64-v3\n", Architecture::x86_64), "avx2"));
    EXPECT_FALSE(has(*resolve_level("x86-64-v2", std::nullopt, Architecture::x86_64), "avx2"));
    const auto wrong = resolve_level("mine", "x86-64-v3+nosuch\n", Architecture::x86_64);
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().on, HasSubstr("mine"));
    EXPECT_FALSE(resolve_level("mine", "", Architecture::x86_64));
}

}  // namespace
}  // namespace cpulevel::level::test
