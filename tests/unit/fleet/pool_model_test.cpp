// The quick model of a pool against level::meet, which it stands for.
#include "fleet/pool_model.h"

#include <gtest/gtest.h>

#include "random_fleet.h"

namespace cpulevel::fleet::test {
namespace {

TEST(PoolModel, ShowsTheFeaturesOfTheMeet) {
    std::mt19937 random(1);
    std::size_t with_osxsave = 0;
    std::size_t with_xsavec = 0;
    for (int round = 0; round < 400; ++round) {
        level::MeetOptions options;
        if (round % 4 == 0) options.allow = level::test::set_of({"amx_tile", "amx_int8"});
        const PoolModel model(arch::Architecture::x86_64, options, {});
        std::vector<profile::NodeProfile> nodes;
        for (unsigned i = 0; i < 1 + random() % 4; ++i) {
            nodes.push_back(random_node(random, "node" + std::to_string(i), 60 + random() % 40));
        }
        PoolState state = model.of(nodes.front());
        for (std::size_t i = 1; i < nodes.size(); ++i) model.add(state, model.of(nodes[i]));
        const auto met = level::meet(nodes, options);
        ASSERT_EQ(met.has_value(), state.feasible);
        if (!met) continue;
        const arch::FeatureSet mine = model.features(state);
        (mine - met->level.features).for_each([&](arch::FeatureId f) { ADD_FAILURE() << "only here: " << x86()[f].name; });
        (met->level.features - mine).for_each([&](arch::FeatureId f) { ADD_FAILURE() << "only in the meet: " << x86()[f].name; });
        ASSERT_EQ(mine, met->level.features) << "round " << round;
        with_osxsave += mine.contains(id("osxsave")) ? 1U : 0U;
        with_xsavec += mine.contains(id("xsavec")) ? 1U : 0U;
    }
    // Else the interesting paths were not walked.
    EXPECT_GT(with_osxsave, 50U);
    EXPECT_LT(with_osxsave, 380U);
    EXPECT_GT(with_xsavec, 10U);
}

TEST(PoolModel, OrderDoesNotMatter) {
    std::mt19937 random(2);
    const PoolModel model(arch::Architecture::x86_64, {}, {});
    for (int round = 0; round < 100; ++round) {
        const PoolState a = model.of(random_node(random, "a")), b = model.of(random_node(random, "b")),
                        c = model.of(random_node(random, "c"));
        PoolState left = a, right = c;
        model.add(left, b);
        model.add(left, c);
        model.add(right, a);
        model.add(right, b);
        EXPECT_EQ(model.features(left), model.features(right));
    }
}

TEST(PoolModel, WhatNothingCanHideKeepsNodesApart) {
    auto a = level::test::arm_node("a", {"paca", "atomics"});
    auto b = level::test::arm_node("b", {"atomics"});
    auto c = b;
    c.registers["CTR_EL0"] = 0x84448005;  // another line size
    auto d = b;
    d.page_size = 65536;
    const auto feasible = [](const profile::NodeProfile& x, const profile::NodeProfile& y, bool accept) {
        level::MeetOptions options;
        options.accept_unmaskable = accept;
        const PoolModel model(arch::Architecture::aarch64, options, {});
        PoolState state = model.of(x);
        model.add(state, model.of(y));
        const std::vector<profile::NodeProfile> nodes{x, y};
        EXPECT_EQ(level::meet(nodes, options).has_value(), state.feasible);
        return state.feasible;
    };
    EXPECT_FALSE(feasible(a, b, false));
    EXPECT_TRUE(feasible(a, b, true));
    EXPECT_FALSE(feasible(b, c, false));
    EXPECT_TRUE(feasible(b, c, true));
    EXPECT_FALSE(feasible(b, d, true));
    EXPECT_TRUE(feasible(b, b, false));
}

}  // namespace
}  // namespace cpulevel::fleet::test
