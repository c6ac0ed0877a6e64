// A level's file that is brought up to date: always the file that would be made of the same nodes from scratch.
#include "fleet/kept.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "fleet/change.h"
#include "level/level_json.h"
#include "profile/derive.h"
#include "random_fleet.h"

namespace cpulevel::fleet::test {
namespace {

using testing::HasSubstr;

struct Machines {
    std::vector<profile::NodeProfile> kinds;
    level::Level level;
    explicit Machines(std::mt19937& random) {
        for (int i = 0; i < 5; ++i) {
            profile::NodeProfile node;
            node.origin = "test";
            node.architecture = arch::Architecture::x86_64;
            const auto word = [&] { return static_cast<std::uint32_t>(random()); };
            node.cpus.push_back({"0",
                                 {{{0, 0}, {7, 0x756e6547, 0x6c65746e, 0x49656e69}},
                                  {{1, 0}, {0x306a9, 0, word() & ~(1U << 27U), word()}},
                                  {{7, 0}, {0, word(), word(), word()}}}});
            const auto derived = profile::derive_features(node.architecture, node.cpus, std::nullopt, node.hwcap);
            node.features = derived.features;
            node.known = derived.known;
            kinds.push_back(std::move(node));
        }
        level = level::test::must_meet({kinds.front()}).level;
    }
    [[nodiscard]] profile::NodeProfile node(std::size_t number) const {
        profile::NodeProfile node = kinds[number * number % kinds.size()];
        node.name = fmt::format("n{}", number);
        return node;
    }
    [[nodiscard]] Fleet fleet(const std::vector<std::size_t>& numbers) const {
        FleetBuilder builder;
        for (const std::size_t number : numbers) builder.add(node(number));
        return builder.take();
    }
};

// Names sorted as the file has them, types in any order.
std::set<std::string> as_set(const Fleet& fleet) {
    std::set<std::string> all;
    for (const NodeType& type : fleet.types) {
        std::vector<std::string> names = type.nodes;
        std::ranges::sort(names);
        EXPECT_EQ(names.size(), type.count);
        all.insert(fmt::format("{}: {}", type_key(type.profile), fmt::join(names, " ")));
    }
    return all;
}

TEST(Kept, ComesBackAsItWas) {
    std::mt19937 random(1);
    const Machines machines(random);
    std::vector<std::size_t> numbers(100);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    const Fleet fleet = machines.fleet(numbers);
    const auto text = KeptFleet(fleet).to_json(machines.level);
    ASSERT_TRUE(text);
    EXPECT_TRUE(level::from_json(*text, "f.json"));
    const auto back = KeptFleet::read(*text, "f.json");
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(as_set(back->with_names()), as_set(fleet));
    EXPECT_EQ(back->types().node_count(), 100U);
    EXPECT_EQ(*back->to_json(machines.level), *text);
    // Made anew from what was read: the same bytes as those that are copied.
    EXPECT_EQ(*KeptFleet(back->with_names()).to_json(machines.level), *text);
    for (std::size_t i = 0; i < 100; ++i) {
        const auto type = back->type_of(fmt::format("n{}", i));
        ASSERT_TRUE(type);
        EXPECT_EQ(type_key(back->types().types[*type].profile), type_key(machines.node(i)));
    }
    EXPECT_FALSE(back->type_of("n100"));
}

TEST(Kept, ChangesGiveTheFileOfTheSameNodes) {
    std::mt19937 random(2);
    const Machines machines(random);
    for (int round = 0; round < 60; ++round) {
        std::set<std::size_t> there;
        while (there.size() < 30) there.insert(random() % 60);
        auto kept =
            KeptFleet::read(*KeptFleet(machines.fleet({there.begin(), there.end()})).to_json(machines.level), "f.json");
        ASSERT_TRUE(kept) << kept.error().message();
        for (int change = 0; change < 4; ++change) {
            // Few are looked up in the file, many in a table.
            const std::size_t many = random() % 2 == 0 ? 3 : 12;
            std::vector<std::size_t> numbers;
            const bool out = random() % 2 == 0;
            for (std::size_t number = random() % 60; numbers.size() < many && number < 60; ++number) {
                if (there.contains(number) == out) numbers.push_back(number);
            }
            if (numbers.empty()) continue;
            if (out) {
                std::vector<std::string> names;
                for (const std::size_t number : numbers) names.push_back(fmt::format("n{}", number));
                for (const std::size_t number : numbers) there.erase(number);
                const auto removed = kept->remove(fmt::format("{}", fmt::join(names, ",")));
                ASSERT_TRUE(removed) << removed.error().message();
            } else {
                ASSERT_TRUE(kept->add(machines.fleet(numbers)));
                there.insert(numbers.begin(), numbers.end());
            }
            EXPECT_EQ(as_set(kept->with_names()), as_set(machines.fleet({there.begin(), there.end()})));
            const auto text = kept->to_json(machines.level);
            ASSERT_TRUE(text);
            EXPECT_EQ(*KeptFleet(kept->with_names()).to_json(machines.level), *text);
            if (there.empty()) break;
        }
    }
}

TEST(Kept, WhatIsRefusedChangesNothing) {
    std::mt19937 random(3);
    const Machines machines(random);
    const std::string text =
        *KeptFleet(machines.fleet({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})).to_json(machines.level);
    auto kept = KeptFleet::read(text, "f.json");
    ASSERT_TRUE(kept);
    const auto unknown = kept->remove("n3,n33");
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().message(), HasSubstr("n33"));
    EXPECT_THAT(unknown.error().hint, HasSubstr("did you mean n3?"));
    EXPECT_FALSE(kept->remove("n[1-20]"));
    EXPECT_FALSE(kept->remove("n[1"));
    EXPECT_FALSE(kept->add(machines.fleet({20, 7})));
    EXPECT_FALSE(kept->add(machines.fleet({20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 12})));
    EXPECT_EQ(*kept->to_json(machines.level), text);
    ASSERT_TRUE(kept->remove("n[1-12]"));
    EXPECT_TRUE(kept->empty());
}

TEST(Kept, DamageIsNamed) {
    std::mt19937 random(4);
    const Machines machines(random);
    const std::string text = *KeptFleet(machines.fleet({1, 2, 3})).to_json(machines.level);
    const auto damaged = [&](std::string_view what, std::string_view by) {
        std::string bad = text;
        const auto at = bad.find(what, bad.find("\"types\""));
        EXPECT_NE(at, std::string::npos) << what;
        bad.replace(at, what.size(), by);
        const auto read = KeptFleet::read(bad, "f.json");
        return read ? std::string() : read.error().message();
    };
    EXPECT_THAT(damaged("\"count\": 1", "\"count\": 0"), HasSubstr("f.json: types[0]"));
    EXPECT_THAT(damaged("\"count\": 1", "\"count\": -1"), HasSubstr("types[0].count"));
    EXPECT_THAT(damaged("\"n1\"", "\"n[1-7]\""), HasSubstr("contradict"));
    EXPECT_THAT(damaged("\"n1\"", "\"n[1-\""), HasSubstr("types[0].nodes[0]"));
    EXPECT_THAT(damaged("cpulevel/profile/1", "cpulevel/profile/9"), HasSubstr("types[0].profile.schema"));
    EXPECT_THAT(damaged("\"count\"", "\"counts\""), HasSubstr("unknown key"));
    EXPECT_THAT(KeptFleet::read(level::to_json(machines.level), "f.json").error().hint, HasSubstr("--updatable"));
}

}  // namespace
}  // namespace cpulevel::fleet::test
