// What leaving nodes out gives, against level::meet of the others.
#include "fleet/what_if.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "fleet/pool_model.h"
#include "fleet/values.h"
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

// Between two steps there is none that gains something with fewer types of those that the next one leaves out.
TEST(WhatIf, StepsLeapPastNothing) {
    std::mt19937 random(5);
    for (int round = 0; round < 30; ++round) {
        const Fleet fleet = random_fleet(random, 3 + random() % 5, 85);
        const auto values = default_values(x86());
        const PoolModel model(arch::Architecture::x86_64, {}, values);
        const arch::FeatureSet all = level_without(fleet, {});
        std::vector<std::size_t> before;
        std::uint64_t had = 0;
        std::size_t gone = 0;
        const auto steps = removal_steps(fleet, {}, values);
        ASSERT_TRUE(steps);
        for (const Removal& step : *steps) {
            std::vector<std::size_t> added;
            std::ranges::set_difference(step.types, before, std::back_inserter(added));
            for (std::size_t some = 1; some + 1 < (std::size_t{1} << added.size()); ++some) {
                std::vector<std::size_t> out = before;
                std::size_t nodes = gone;
                for (std::size_t i = 0; i < added.size(); ++i) {
                    if ((some >> i & 1U) == 0) continue;
                    out.push_back(added[i]);
                    nodes += fleet.types[added[i]].count;
                }
                const std::uint64_t value = model.value(level_without(fleet, out) - all);
                // Nothing, or less than what the nodes that go have now.
                EXPECT_LE(value * (fleet.node_count() - nodes), had * (fleet.node_count() - gone));
            }
            before = step.types;
            had = step.value;
            gone = step.nodes;
        }
    }
}

TEST(WhatIf, WhatANodeAloneCosts) {
    std::mt19937 random(6);
    for (int round = 0; round < 30; ++round) {
        std::vector<profile::NodeProfile> nodes;
        for (std::size_t i = 0; i < 2 + random() % 5; ++i)
            nodes.push_back(random_node(random, fmt::format("n{}", i), 90));
        nodes.push_back(nodes.front());  // of these two, neither costs anything
        nodes.back().name = "twin";
        const auto costs = alone_costs(nodes, {});
        ASSERT_EQ(costs.size(), nodes.size());
        const arch::FeatureSet all = level::test::must_meet(nodes).level.features;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            std::vector<profile::NodeProfile> others = nodes;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_EQ(costs[i], level::test::must_meet(others).level.features - all);
        }
        EXPECT_TRUE(costs.front().empty());
        EXPECT_TRUE(costs.back().empty());
    }
}

}  // namespace
}  // namespace cpulevel::fleet::test
