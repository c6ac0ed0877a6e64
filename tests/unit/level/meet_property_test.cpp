// Properties of the meet on random machines, against a reference that is too simple to be wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "level/compare.h"
#include "level/level_json.h"
#include "level/meet.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

using arch::FeatureId;
using arch::FeatureSet;

// Of each vendor's layouts one, with any of the optional components switched on.
profile::NodeProfile random_node(std::mt19937& random, std::size_t number) {
    const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    const bool amd = chance(40);
    profile::NodeProfile machine = node({.name = "node" + std::to_string(number)});
    for (std::size_t index = 0; index < x86().features().size(); ++index) {
        const FeatureId feature{static_cast<std::uint16_t>(index)};
        if (chance(70)) machine.features.insert(feature);
        if (chance(5)) machine.features.erase(feature);  // also bases: machines are not always closed
        if (chance(3)) machine.known.erase(feature);
    }
    machine.features &= machine.known;
    if (chance(15)) machine.features = {};
    if (machine.features.contains(id("osxsave")) && chance(85)) {
        machine.xsave = amd ? amd_layout(kAvx512Pku) : intel_layout(chance(50) ? kAvx512Pku : kAvx512);
        if (chance(10)) machine.xsave->compacted_size = 0;
    }
    machine.minimum_signal_stack.reset();
    if (chance(80)) machine.minimum_signal_stack = 2048 + random() % 4096;
    refresh(machine);
    return machine;
}

std::vector<profile::NodeProfile> random_nodes(std::mt19937& random, std::size_t count) {
    std::vector<profile::NodeProfile> nodes;
    for (std::size_t i = 0; i < count; ++i) nodes.push_back(random_node(random, i));
    return nodes;
}

// Without anything that XSAVE has a say in, the meet of features is: everywhere, not NEVER, and closed. Written with
// nothing but loops over names.
FeatureSet naive_meet(const std::vector<profile::NodeProfile>& nodes) {
    std::vector<bool> in(x86().features().size(), true);
    for (std::size_t i = 0; i < in.size(); ++i) {
        const FeatureId feature{static_cast<std::uint16_t>(i)};
        for (const auto& machine : nodes) in[i] = in[i] && machine.features.contains(feature);
        if (x86()[feature].rule == arch::Rule::Never) in[i] = false;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = 0; i < in.size(); ++i) {
            for (const FeatureId need : x86()[FeatureId{static_cast<std::uint16_t>(i)}].needs) {
                changed = changed || (in[i] && !in[need.value]);
                if (!in[need.value]) in[i] = false;
            }
        }
    }
    FeatureSet set;
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in[i]) set.insert(FeatureId{static_cast<std::uint16_t>(i)});
    }
    return set;
}

FeatureSet touched_by_xsave() {
    FeatureSet set = x86().in_leaf(0xD, 1) | set_of({"osxsave"});
    for (std::size_t i = 0; i < x86().features().size(); ++i) {
        const FeatureId feature{static_cast<std::uint16_t>(i)};
        if ((x86()[feature].xcr0 & ~std::uint64_t{3}) != 0) set.insert(feature);
    }
    FeatureSet with_dependents = set;
    set.for_each([&](FeatureId feature) { with_dependents |= x86().dependents(feature); });
    return with_dependents;
}

void expect_sound(const std::vector<profile::NodeProfile>& nodes, const Meet& met) {
    const Level& level = met.level;
    EXPECT_EQ(level.features, x86().closed_subset(level.features));
    EXPECT_EQ(contradiction(level), "");
    FeatureSet offered;
    for (const auto& machine : nodes) {
        EXPECT_TRUE(level.features.is_subset_of(machine.features));
        offered |= machine.features;
        EXPECT_NE(may_start(level, machine).verdict, Verdict::no) << machine.name;
        for (std::size_t word = 0; word < 2; ++word) {
            EXPECT_EQ(*level.hwcap.at(word) & ~*machine.hwcap.at(word), 0U);
        }
        if (level.xsave && machine.xsave) {
            EXPECT_GE(level.xsave->standard_size, machine.xsave->standard_size);
        }
    }
    // Every feature that someone has is in the level or accounted for, once.
    FeatureSet lost;
    for (const Loss& loss : met.losses) {
        EXPECT_FALSE(lost.contains(loss.feature));
        lost.insert(loss.feature);
        if (loss.reason == LossReason::absent) {
            EXPECT_FALSE(loss.lacking.empty());
        }
        if (loss.reason == LossReason::closure) {
            EXPECT_FALSE(loss.missing_needs.empty());
        }
        if (loss.reason == LossReason::unknown) {
            EXPECT_FALSE(loss.undescribed.empty());
        }
    }
    EXPECT_EQ(lost, offered - level.features);
    // The projections agree.
    FeatureSet with_cpuid;
    level.features.for_each([&](FeatureId feature) {
        if (!x86()[feature].cpuid.empty()) with_cpuid.insert(feature);
    });
    EXPECT_EQ(x86().from_cpuid(level.cpuid, std::nullopt), with_cpuid);
}

TEST(MeetProperty, AgreesWithTheNaiveReference) {
    std::mt19937 random(1);
    const FeatureSet special = touched_by_xsave();
    std::size_t kept = 0;
    for (int round = 0; round < 300; ++round) {
        const auto nodes = random_nodes(random, 1 + random() % 4);
        const Meet met = must_meet(nodes);
        const FeatureSet expected = naive_meet(nodes);
        EXPECT_EQ(met.level.features - special, expected - special);
        EXPECT_TRUE(met.level.features.is_subset_of(expected));
        kept += (met.level.features & special).size();
        expect_sound(nodes, met);
        if (HasFailure()) FAIL() << "round " << round;
    }
    EXPECT_GT(kept, 100U);  // the random machines reach the XSAVE rules too
}

TEST(MeetProperty, IsIdempotent) {
    std::mt19937 random(2);
    for (int round = 0; round < 100; ++round) {
        const auto machine = random_node(random, 0);
        const Level once = must_meet({machine}).level;
        const Level twice = must_meet({machine, machine}).level;
        EXPECT_EQ(once.features, twice.features);
        EXPECT_EQ(once.cpuid, twice.cpuid);
        EXPECT_EQ(once.hwcap, twice.hwcap);
        const Level again = must_meet({as_node(once)}).level;
        EXPECT_EQ(again.features, once.features);
        EXPECT_EQ(again.cpuid, once.cpuid);
        EXPECT_EQ(again.hwcap, once.hwcap);
    }
}

TEST(MeetProperty, IsCommutativeUpToTheChosenNode) {
    std::mt19937 random(3);
    for (int round = 0; round < 100; ++round) {
        auto nodes = random_nodes(random, 3);
        const Level forward = must_meet(nodes).level;
        std::ranges::reverse(nodes);
        MeetOptions options;
        options.chosen = 2;
        const Level backward = must_meet(nodes, options).level;
        EXPECT_EQ(forward.features, backward.features);
        EXPECT_EQ(forward.undetermined, backward.undetermined);
        EXPECT_EQ(forward.cpuid, backward.cpuid);
        EXPECT_EQ(forward.hwcap, backward.hwcap);
        EXPECT_EQ(forward.minimum_signal_stack, backward.minimum_signal_stack);
    }
}

// A level is met with a further node as if it were a node itself.
TEST(MeetProperty, IsAssociative) {
    std::mt19937 random(4);
    for (int round = 0; round < 150; ++round) {
        const auto nodes = random_nodes(random, 3);
        const Level all = must_meet(nodes).level;
        const Level left = must_meet({as_node(must_meet({nodes[0], nodes[1]}).level), nodes[2]}).level;
        const Level right = must_meet({nodes[0], as_node(must_meet({nodes[1], nodes[2]}).level)}).level;
        EXPECT_EQ(left.features, all.features);
        EXPECT_EQ(right.features, all.features);
        EXPECT_EQ(left.hwcap, all.hwcap);
        EXPECT_EQ(right.hwcap, all.hwcap);
        EXPECT_EQ(left.minimum_signal_stack, all.minimum_signal_stack);
        EXPECT_EQ(right.minimum_signal_stack, all.minimum_signal_stack);
        if (all.xsave) {
            EXPECT_EQ(left.xsave->standard_size, all.xsave->standard_size);
            EXPECT_EQ(right.xsave->standard_size, all.xsave->standard_size);
        }
        if (HasFailure()) FAIL() << "round " << round;
    }
}

TEST(MeetProperty, SurvivesItsFile) {
    std::mt19937 random(5);
    for (int round = 0; round < 50; ++round) {
        const Level level = must_meet(random_nodes(random, 2)).level;
        const auto again = from_json(to_json(level), "level.json");
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_EQ(to_json(*again), to_json(level));
    }
}

}  // namespace
}  // namespace cpulevel::level::test
