// What leaving nodes out gives, against level::meet of the others.
#include "fleet/what_if.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "random_fleet.h"

namespace cpulevel::fleet::test {
namespace {

arch::FeatureSet level_without(const Fleet& fleet, const std::vector<std::size_t>& out) {
    std::vector<profile::NodeProfile> nodes;
    for (std::size_t i = 0; i < fleet.types.size(); ++i) {
        if (std::ranges::find(out, i) == out.end()) nodes.push_back(fleet.types[i].profile);
    }
    return level::test::must_meet(nodes).level.features;
}

TEST(WhatIf, RemovalsGainWhatTheMeetOfTheOthersHasMore) {
    std::mt19937 random(1);
    for (int round = 0; round < 40; ++round) {
        const Fleet fleet = random_fleet(random, 2 + random() % 6, 90);
        const arch::FeatureSet all = level_without(fleet, {});
        const auto ranked = rank_removals(fleet, {}, {});
        ASSERT_TRUE(ranked);
        ASSERT_EQ(ranked->size(), fleet.types.size());
        for (const Removal& removal : *ranked) {
            EXPECT_EQ(removal.gained, level_without(fleet, removal.types) - all);
            EXPECT_EQ(removal.nodes, fleet.types[removal.types.front()].count);
        }
        EXPECT_TRUE(std::ranges::is_sorted(*ranked, std::greater{}, &Removal::value));
    }
}

TEST(WhatIf, StepsContainEachOtherAndEndWithNothingMoreToGain) {
    std::mt19937 random(2);
    std::size_t many = 0;
    for (int round = 0; round < 40; ++round) {
        const Fleet fleet = random_fleet(random, 3 + random() % 5, 80);
        const arch::FeatureSet all = level_without(fleet, {});
        const auto steps = removal_steps(fleet, {}, {});
        ASSERT_TRUE(steps);
        const Removal* before = nullptr;
        for (const Removal& step : *steps) {
            ASSERT_LT(step.types.size(), fleet.types.size());
            EXPECT_EQ(step.gained, level_without(fleet, step.types) - all);
            if (before != nullptr) {
                EXPECT_GT(step.value, before->value);
                EXPECT_TRUE(std::ranges::includes(step.types, before->types));
            }
            before = &step;
        }
        many += steps->size() > 1 ? 1U : 0U;
    }
    EXPECT_GT(many, 5U);
}

}  // namespace
}  // namespace cpulevel::fleet::test
