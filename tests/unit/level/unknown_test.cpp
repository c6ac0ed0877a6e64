// Unknown is a value of its own: never silently absent, never silently present (docs/decisions/010-unknown.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "level/collect.h"
#include "level/compare.h"
#include "level/level_json.h"
#include "level/meet.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

using profile::NodeProfile;

// A node that has `yes`, is known to lack `no`, and of all else nothing is known.
NodeProfile node(std::string name, std::initializer_list<std::string_view> yes, std::initializer_list<std::string_view> no) {
    NodeProfile result;
    result.name = std::move(name);
    result.origin = "test";
    for (const std::string_view feature : yes) result.features.insert(id(feature));
    result.known = result.features;
    for (const std::string_view feature : no) result.known.insert(id(feature));
    return result;
}

TEST(Unknown, IsHiddenAndKeptAsUndetermined) {
    const Level level = must_meet({node("a", {"fpu", "mmx"}, {}), node("b", {"fpu"}, {})}).level;
    EXPECT_TRUE(level.features.contains(id("fpu")));
    EXPECT_FALSE(level.features.contains(id("mmx")));
    EXPECT_TRUE(level.undetermined.contains(id("mmx")));
}

TEST(Unknown, OneCertainNoSettlesIt) {
    const Level level = must_meet({node("a", {"fpu", "mmx"}, {}), node("b", {"fpu"}, {}), node("c", {"fpu"}, {"mmx"})}).level;
    EXPECT_FALSE(level.undetermined.contains(id("mmx")));
}

// A level that is taken for a node again must not turn ignorance into "absent": nobody offers AES, and nobody lacks it.
TEST(Unknown, StaysUnknownWhereNobodyOffersIt) {
    const Level level = must_meet({node("a", {"fpu"}, {"mmx"}), node("b", {"fpu"}, {})}).level;
    EXPECT_TRUE(level.undetermined.contains(id("aes")));
    EXPECT_FALSE(level.undetermined.contains(id("mmx")));
    const NodeProfile again = as_node(level);
    EXPECT_FALSE(again.known.contains(id("aes")));
    EXPECT_TRUE(again.known.contains(id("mmx")));
    const auto back = from_json(to_json(level), "level.json");
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(back->undetermined, level.undetermined);

    // Met with a machine that has AES, the answer is still "not known", not "lost".
    const Meet with = must_meet({again, node("c", {"fpu", "aes"}, {})});
    const auto loss = std::ranges::find(with.losses, id("aes"), &Loss::feature);
    ASSERT_NE(loss, with.losses.end());
    EXPECT_EQ(loss->reason, LossReason::unknown);
}

TEST(Unknown, CompareAnswersUnknown) {
    const Level level = must_meet({node("a", {"fpu", "cmov"}, {})}).level;
    EXPECT_EQ(may_start(level, node("b", {"fpu"}, {})).verdict, Verdict::unknown);
    EXPECT_EQ(may_start(level, node("c", {"fpu"}, {"cmov"})).verdict, Verdict::no);
    EXPECT_EQ(may_start(level, node("d", {"fpu", "cmov"}, {})).verdict, Verdict::yes);
    const Difference difference = compare(node("a", {"cmov"}, {}), node("b", {}, {}));
    EXPECT_TRUE(difference.unsure.contains(id("cmov")));
    EXPECT_TRUE(difference.only_a.empty());
}

// The three values against a naive table, for random nodes.
TEST(Unknown, MeetIsTheLeastOfTheThreeValues) {
    std::mt19937 random(10);
    const std::vector<std::string_view> names{"fpu", "tsc", "cx8", "cmov", "clflush"};  // need nothing
    for (int round = 0; round < 500; ++round) {
        std::vector<NodeProfile> nodes;
        std::vector<std::vector<int>> values;  // 2 yes, 1 unknown, 0 no
        for (unsigned i = 0; i <= random() % 4; ++i) {
            nodes.push_back(node("n" + std::to_string(i), {}, {}));
            values.emplace_back();
            for (const std::string_view name : names) {
                const int value = static_cast<int>(random() % 3);
                values.back().push_back(value);
                if (value != 1) nodes.back().known.insert(id(name));
                if (value == 2) nodes.back().features.insert(id(name));
            }
        }
        const Level level = must_meet(nodes).level;
        for (std::size_t f = 0; f < names.size(); ++f) {
            int least = 2;
            for (const auto& of_node : values) least = std::min(least, of_node[f]);
            ASSERT_EQ(level.features.contains(id(names[f])), least == 2) << names[f];
            ASSERT_EQ(level.undetermined.contains(id(names[f])), least == 1) << names[f];
        }
    }
}

TEST(Collect, NamesWhoseDescriptionLeavesWhatOpen) {
    NodeProfile told = node("told", {"fpu", "cmov"}, {});
    told.known = x86().all();
    told.minimum_signal_stack = 3632;
    const auto collect = [](const std::vector<NodeProfile>& nodes) {
        return what_to_collect(x86(), nodes, must_meet(nodes).level);
    };
    const auto settled = collect({told, node("a", {"fpu"}, {}), node("b", {"fpu"}, {}), node("c", {"fpu"}, {"cmov"})});
    ASSERT_EQ(settled.size(), 1U);  // cmov is settled by c, so all three leave the same open
    EXPECT_EQ(settled[0].nodes, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_TRUE(settled[0].signal_stack);
    EXPECT_TRUE(settled[0].features.empty()) << "what `told` lacks is settled";
    EXPECT_FALSE(settled[0].how.empty());

    const auto open = collect({told, node("a", {"fpu"}, {})});
    ASSERT_EQ(open.size(), 1U);
    EXPECT_TRUE(open[0].features.contains(id("cmov")));
    EXPECT_TRUE(collect({told}).empty());
}

}  // namespace
}  // namespace cpulevel::level::test
