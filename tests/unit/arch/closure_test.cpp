// The dependency graph and the closure, against a model that is too simple to be wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "arch/feature.h"

namespace cpulevel::arch {
namespace {

class EveryArchitecture : public testing::TestWithParam<Architecture> {
   protected:
    const FeatureTable& features_ = table(GetParam());
    [[nodiscard]] std::size_t size() const { return features_.features().size(); }
    [[nodiscard]] static FeatureId id(std::size_t i) { return FeatureId{static_cast<std::uint16_t>(i)}; }
};

// Everything that `start` needs, directly or not, by walking; a walk longer than the table is a cycle.
std::set<std::uint16_t> reachable(const FeatureTable& features, FeatureId start) {
    std::set<std::uint16_t> seen;
    std::vector<FeatureId> todo(features[start].needs.begin(), features[start].needs.end());
    while (!todo.empty()) {
        const FeatureId id = todo.back();
        todo.pop_back();
        if (!seen.insert(id.value).second) continue;
        todo.insert(todo.end(), features[id].needs.begin(), features[id].needs.end());
    }
    return seen;
}

TEST_P(EveryArchitecture, TheGraphHasNoCyclesAndNoStrangers) {
    for (std::size_t i = 0; i < size(); ++i) {
        for (const FeatureId need : features_[id(i)].needs) ASSERT_LT(need.value, size());
        EXPECT_FALSE(reachable(features_, id(i)).contains(static_cast<std::uint16_t>(i)))
            << features_[id(i)].name << " needs itself";
    }
}

TEST_P(EveryArchitecture, ClosuresAreWhatTheModelSays) {
    std::mt19937 random(20240607);  // a fixed seed: the same sets each time
    for (int round = 0; round < 100; ++round) {
        std::bernoulli_distribution coin(round % 10 / 10.0 + 0.05);
        FeatureSet set;
        for (std::size_t i = 0; i < size(); ++i) {
            if (coin(random)) set.insert(id(i));
        }
        FeatureSet subset;
        FeatureSet superset = set;
        for (std::size_t i = 0; i < size(); ++i) {
            const auto needs = reachable(features_, id(i));
            const bool has_all = std::ranges::all_of(needs, [&](std::uint16_t n) { return set.contains(id(n)); });
            if (set.contains(id(i)) && has_all) subset.insert(id(i));
            if (set.contains(id(i))) {
                for (const std::uint16_t need : needs) superset.insert(id(need));
            }
        }
        EXPECT_EQ(features_.closed_subset(set), subset);
        EXPECT_EQ(features_.with_needs(set), superset);
        EXPECT_EQ(features_.closed_subset(superset), superset);
        EXPECT_EQ(features_.with_needs(subset), subset);
    }
}

TEST_P(EveryArchitecture, DependentsAreTheOtherDirection) {
    for (std::size_t i = 0; i < size(); ++i) {
        const FeatureSet dependents = features_.dependents(id(i));
        for (std::size_t j = 0; j < size(); ++j) {
            EXPECT_EQ(dependents.contains(id(j)), reachable(features_, id(j)).contains(static_cast<std::uint16_t>(i)))
                << features_[id(j)].name << " on " << features_[id(i)].name;
        }
    }
}

// Nothing that a level shows may rest on what no level shows.
TEST_P(EveryArchitecture, WhatNeedsANeverFeatureIsNeverItself) {
    for (std::size_t i = 0; i < size(); ++i) {
        for (const FeatureId need : features_[id(i)].needs) {
            if (features_[need].rule == Rule::Never) {
                EXPECT_EQ(features_[id(i)].rule, Rule::Never) << features_[id(i)].name;
            }
        }
    }
}

// A feature in registers that XCR0 switches cannot be usable where what it needs is not.
TEST_P(EveryArchitecture, XcrMasksGrowAlongTheNeeds) {
    for (std::size_t i = 0; i < size(); ++i) {
        for (const FeatureId need : features_[id(i)].needs) {
            if (features_[need].xcr0 == 0) continue;
            EXPECT_EQ(features_[need].xcr0 & ~features_[id(i)].xcr0, 0U)
                << features_[id(i)].name << " on " << features_[need].name;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Tables, EveryArchitecture, testing::ValuesIn(architectures().begin(), architectures().end()),
                         [](const auto& instance) { return std::string(name(instance.param)); });

FeatureId x86(std::string_view name) { return table(Architecture::x86_64).find(name).value(); }

TEST(X86Closure, RemovingABaseRemovesWhatRestsOnIt) {
    const FeatureTable& features = table(Architecture::x86_64);
    FeatureSet set = features.all();
    set.erase(x86("avx"));
    const FeatureSet closed = features.closed_subset(set);
    for (const char* gone : {"avx2", "fma", "f16c", "vaes", "vpclmulqdq", "avx512f", "avx512vl", "avx_vnni", "fma4"}) {
        EXPECT_FALSE(closed.contains(x86(gone))) << gone;
    }
    for (const char* kept : {"gfni", "aes", "pclmulqdq", "sha_ni", "bmi2", "xsaveopt"}) {
        EXPECT_TRUE(closed.contains(x86(kept))) << kept;
    }
}

TEST(X86Closure, WithoutOsxsaveNothingOfXsaveStays) {
    const FeatureTable& features = table(Architecture::x86_64);
    FeatureSet set = features.all();
    set.erase(x86("osxsave"));
    const FeatureSet closed = features.closed_subset(set);
    closed.for_each([&](FeatureId id) {
        if (features[id].name != "pku") {
            EXPECT_EQ(features[id].xcr0, 0U) << features[id].name;
        }
    });
    EXPECT_FALSE(closed.contains(x86("xsavec")));
    EXPECT_TRUE(closed.contains(x86("xsave")));
}

// LLVM has it right against one kernel table: these exist without AVX-512.
TEST(X86Closure, GfniVaesAndVpclmulqdqDoNotNeedAvx512) {
    const FeatureTable& features = table(Architecture::x86_64);
    for (const char* name : {"gfni", "vaes", "vpclmulqdq"}) {
        FeatureSet set;
        set.insert(x86(name));
        EXPECT_FALSE(features.with_needs(set).contains(x86("avx512f"))) << name;
    }
}

}  // namespace
}  // namespace cpulevel::arch
