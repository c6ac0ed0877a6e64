#include "cli/blame.h"

#include <gtest/gtest.h>

#include "arch/feature.h"

namespace cpulevel::cli {
namespace {

using level::Loss;
using level::LossReason;

arch::FeatureId id(std::string_view name) { return *arch::table(arch::Architecture::x86_64).find(name); }

Loss absent(std::string_view feature, std::vector<std::string> lacking) {
    Loss loss;
    loss.feature = id(feature);
    loss.lacking = std::move(lacking);
    return loss;
}

Loss closure(std::string_view feature, std::vector<arch::FeatureId> needs) {
    Loss loss;
    loss.feature = id(feature);
    loss.reason = LossReason::closure;
    loss.missing_needs = std::move(needs);
    return loss;
}

TEST(Blame, ClosureIsTheFaultOfWhoeverCostTheNeed) {
    const std::vector<Loss> losses = {absent("avx", {"old"}), closure("avx2", {id("avx")}), closure("vaes", {id("avx2")}),
                                      absent("aes", {"a", "b"})};
    const Blame result = blame(losses);
    ASSERT_EQ(result.groups.size(), 2U);
    EXPECT_EQ(result.groups[0].nodes, std::set<std::string>{"old"});
    EXPECT_EQ(result.groups[0].direct.size(), 1U);
    EXPECT_EQ(result.groups[0].by_closure.size(), 2U);
    EXPECT_TRUE(result.general.empty());
}

TEST(Blame, WhatNobodyLacksIsNobodysFault) {
    Loss never;
    never.feature = id("sgx");
    never.reason = LossReason::never;
    const std::vector<Loss> losses = {never};
    const Blame result = blame(losses);
    EXPECT_TRUE(result.groups.empty());
    ASSERT_EQ(result.general.size(), 1U);
}

}  // namespace
}  // namespace cpulevel::cli
