#include "report/fold_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace cpulevel::report {
namespace {

using testing::ElementsAre;

std::vector<std::string> folded(const std::vector<std::string>& names) {
    std::vector<std::string> texts;
    for (const FoldedNames& one : fold_names(names)) texts.push_back(to_text(one));
    return texts;
}

std::vector<std::string> unfolded(const std::vector<FoldedNames>& all) {
    std::vector<std::string> names;
    for (const FoldedNames& one : all) {
        const auto own = unfold(one);
        EXPECT_EQ(own.size(), one.count);
        names.insert(names.end(), own.begin(), own.end());
    }
    std::ranges::sort(names);
    return names;
}

TEST(FoldNames, Ranges) {
    EXPECT_THAT(folded({"node1", "node2", "node3"}), ElementsAre("node[1-3]"));
    EXPECT_THAT(folded({"node08", "node09", "node10", "node12"}), ElementsAre("node[08-10,12]"));
    EXPECT_THAT(folded({"n9", "n10", "n11", "n7"}), ElementsAre("n[7,9-11]"));
    EXPECT_THAT(folded({"n1", "n01", "n001"}), ElementsAre("n[1,01,001]"));
    EXPECT_THAT(folded({"alone7"}), ElementsAre("alone7"));
    EXPECT_THAT(folded({"a", "b", "a"}), ElementsAre("a", "b"));
    EXPECT_TRUE(folded({}).empty());
}

TEST(FoldNames, RangesInSeveralPlaces) {
    std::vector<std::string> names;
    for (int rack = 1; rack <= 12; ++rack) {
        for (int node = 1; node <= 40; ++node) {
            names.push_back("rack" + std::to_string(rack) + "-n" + std::to_string(node) + ".example.org");
        }
    }
    EXPECT_THAT(folded(names), ElementsAre("rack[1-12]-n[1-40].example.org"));
    names.pop_back();
    EXPECT_THAT(folded(names), ElementsAre("rack[1-11]-n[1-40].example.org", "rack12-n[1-39].example.org"));
}

TEST(FoldNames, NamesThatLookLikeFoldedOnes) {
    const std::vector<std::string> names = {"n[1-3]", "n[1-4]", "n[2-3]", "1-2,3", "", "000", "999999999999999999999999"};
    std::vector<std::string> sorted = names;
    std::ranges::sort(sorted);
    EXPECT_EQ(unfolded(fold_names(names)), sorted);
}

// Whatever the names: the same come back.
TEST(FoldNames, UnfoldingGivesTheNamesBack) {
    std::mt19937 random(7);
    const std::string_view letters = "01289-n.";
    for (int round = 0; round < 400; ++round) {
        std::vector<std::string> names;
        for (std::size_t i = random() % 60; i-- > 0;) {
            std::string name;
            for (std::size_t length = random() % 7; length-- > 0;) name += letters[random() % letters.size()];
            names.push_back(std::move(name));
        }
        const auto result = fold_names(names);
        std::ranges::sort(names);
        const auto doubled = std::ranges::unique(names);
        names.erase(doubled.begin(), doubled.end());
        ASSERT_EQ(unfolded(result), names);
    }
}

}  // namespace
}  // namespace cpulevel::report
