#include "cpuid/lookup_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace cpulevel::cpuid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(LookupRanges, OfNothing) { EXPECT_THAT(lookup_ranges({}), IsEmpty()); }

TEST(LookupRanges, WhatIsCloseTogetherIsOneRun) {
    const std::array<std::uint64_t, 4> sites{0x1000, 0x1010, 0x1500, 0x9000};
    EXPECT_THAT(lookup_ranges(sites), ElementsAre(LookupRange{0x1000, 0x1502}, LookupRange{0x9000, 0x9002}));
}

TEST(LookupRanges, OverlappingSitesDoNotWrapAround) {
    const std::array<std::uint64_t, 2> sites{0x1000, 0x1001};
    EXPECT_THAT(lookup_ranges(sites), ElementsAre(LookupRange{0x1000, 0x1003}));
}

TEST(LookupRanges, AThreadInsideIsLookingUp) {
    const std::array ranges{LookupRange{0x10000, 0x10800}};
    EXPECT_TRUE(is_looking_up(0x10000, {}, ranges));
    EXPECT_TRUE(is_looking_up(0x10400, {}, ranges));
    EXPECT_TRUE(is_looking_up(0x10802, {}, ranges)) << "evaluates the last answer";
    EXPECT_FALSE(is_looking_up(0x20000, {}, ranges));
    EXPECT_FALSE(is_looking_up(0x1000, {}, ranges));
}

TEST(LookupRanges, SoIsOneThatWasCalledFromThere) {
    const std::array ranges{LookupRange{0x10000, 0x10800}};
    const std::array<std::uint64_t, 3> inside{7, 0x10404, 0};
    EXPECT_TRUE(is_looking_up(0x50000, inside, ranges));
    const std::array<std::uint64_t, 2> behind{0x10900, 0x7fff0000};
    EXPECT_FALSE(is_looking_up(0x50000, behind, ranges)) << "a return address behind the run: it is over";
}

TEST(LookupRanges, RangeAtTheStartOfTheAddressSpace) {
    const std::array ranges{LookupRange{0x10, 0x12}};
    EXPECT_TRUE(is_looking_up(0, {}, ranges));
}

}  // namespace
}  // namespace cpulevel::cpuid
