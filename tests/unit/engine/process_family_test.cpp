#include "engine/process_family.h"

#include <gtest/gtest.h>

#include <array>

namespace cpulevel::engine {
namespace {

using Pids = std::vector<pid_t>;

TEST(FamilyOf, ParentsBeforeTheirChildren) {
    const std::array<ProcessParent, 6> all{{{9, 7}, {7, 5}, {5, 1}, {6, 1}, {8, 5}, {1, 0}}};
    EXPECT_EQ(family_of(Pids{5}, all), (Pids{5, 7, 8, 9}));
    EXPECT_EQ(family_of(Pids{9}, all), (Pids{9}));
    EXPECT_EQ(family_of(Pids{6, 7}, all), (Pids{6, 7, 9}));
}

TEST(FamilyOf, OneThatIsBelowAnotherCountsOnce) {
    const std::array<ProcessParent, 3> all{{{5, 1}, {7, 5}, {9, 7}}};
    EXPECT_EQ(family_of(Pids{5, 9, 5}, all), (Pids{5, 9, 7}));
}

TEST(FamilyOf, WhatIsNotThereHasNone) { EXPECT_TRUE(family_of(Pids{5}, std::array<ProcessParent, 1>{{{7, 5}}}).empty()); }

TEST(FamilyOf, ARingOfNumbersUsedAgainEnds) {
    const std::array<ProcessParent, 3> all{{{5, 9}, {7, 5}, {9, 7}}};
    EXPECT_EQ(family_of(Pids{5}, all), (Pids{5, 7, 9}));
}

TEST(OwnNumber, TheInnermostOfNSpid) {
    EXPECT_EQ(own_number("Name:\tsh\nNSpid:\t4711\t32\t1\nPPid:\t1\n", 4711), 1);
    EXPECT_EQ(own_number("NSpid:\t4711\n", 4711), 4711);
}

TEST(OwnNumber, WithoutNamespacesTheOneThatIsSeen) { EXPECT_EQ(own_number("Name:\tsh\nPPid:\t1\n", 4711), 4711); }

TEST(OwnNumber, NoNumberIsNone) {
    EXPECT_EQ(own_number("NSpid:\t4711\tx\n", 4711), 0);
    EXPECT_EQ(own_number("NSpid:\t4294967297\n", 4711), 0);
}

}  // namespace
}  // namespace cpulevel::engine
