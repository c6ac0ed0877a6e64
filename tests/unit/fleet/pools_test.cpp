// Pools against a reference that tries every partition and asks level::meet for each pool.
#include "fleet/pools.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "fleet/pool_search.h"
#include "random_fleet.h"

namespace cpulevel::fleet::test {
namespace {

using Blocks = std::vector<std::vector<std::size_t>>;

void every_partition(std::size_t n, std::size_t at, Blocks& blocks, const std::function<void(const Blocks&)>& visit) {
    if (at == n) return visit(blocks);
    for (std::size_t i = 0; i <= blocks.size(); ++i) {
        if (i == blocks.size()) {
            blocks.push_back({at});
            every_partition(n, at + 1, blocks, visit);
            blocks.pop_back();
        } else {
            blocks[i].push_back(at);
            every_partition(n, at + 1, blocks, visit);
            blocks[i].pop_back();
        }
    }
}

class Reference {
   public:
    Reference(const Fleet& fleet, const PoolOptions& options) : fleet_(fleet), options_(options) {
        if (options_.values.empty()) options_.values = default_values(x86());
    }

    // The best value with at most so many pools; nothing where no partition obeys the options.
    std::optional<std::uint64_t> best(std::size_t pools) {
        std::optional<std::uint64_t> best;
        Blocks blocks;
        every_partition(fleet_.types.size(), 0, blocks, [&](const Blocks& all) {
            if (all.size() > pools) return;
            std::uint64_t sum = 0;
            for (const auto& block : all) {
                const auto value = value_of(block);
                if (!value) return;
                sum += *value;
            }
            best = std::max(best.value_or(0), sum);
        });
        return best;
    }

   private:
    arch::FeatureSet level_of(const std::vector<std::size_t>& block) {
        std::vector<profile::NodeProfile> nodes;
        for (const std::size_t type : block) nodes.push_back(fleet_.types[type].profile);
        return level::test::must_meet(nodes, options_.meet).level.features;
    }

    std::uint64_t worth(const arch::FeatureSet& set) const {
        std::uint64_t sum = 0;
        set.for_each([&](arch::FeatureId f) { sum += options_.values[f.value]; });
        return sum;
    }

    std::optional<std::uint64_t> value_of(const std::vector<std::size_t>& block) {
        const auto known = values_.find(block);
        if (known != values_.end()) return known->second;
        const arch::FeatureSet level = level_of(block);
        std::optional<std::uint64_t> value = 0;
        for (const std::size_t type : block) {
            const arch::FeatureSet lost = level_of({type}) - level;
            std::size_t counted = 0;
            bool kept = true;
            lost.for_each([&](arch::FeatureId f) {
                if (options_.values[f.value] > 0) ++counted;
                if (options_.never_lose.contains(f)) kept = false;
            });
            if (!kept || (options_.lose_at_most && counted > *options_.lose_at_most)) value.reset();
            if (value) *value += fleet_.types[type].count * worth(level);
        }
        values_.emplace(block, value);
        return value;
    }

    const Fleet& fleet_;
    PoolOptions options_;
    std::map<std::vector<std::size_t>, std::optional<std::uint64_t>> values_;
};

void expect_whole(const Fleet& fleet, const Pools& pools) {
    std::vector<int> seen(fleet.types.size(), 0);
    std::uint64_t value = 0;
    for (const Pool& pool : pools.pools) {
        std::size_t nodes = 0;
        for (const PoolMember& member : pool.members) {
            ++seen[member.type];
            nodes += fleet.types[member.type].count;
        }
        EXPECT_EQ(pool.nodes, nodes);
        value += nodes * pool.value;
    }
    EXPECT_EQ(value, pools.value);
    EXPECT_TRUE(std::ranges::all_of(seen, [](int times) { return times == 1; }));
}

TEST(Pools, BestOfAllPartitions) {
    std::mt19937 random(3);
    for (int round = 0; round < 30; ++round) {
        const Fleet fleet = random_fleet(random, 2 + random() % 5, 55 + random() % 40);
        PoolOptions options;
        if (round % 3 == 0) {
            options.values = default_values(x86());
            for (auto& value : options.values) value *= static_cast<std::uint32_t>(random() % 20);
        }
        Reference reference(fleet, options);
        for (std::size_t count = 1; count <= 4; ++count) {
            options.pools = count;
            const auto pools = make_pools(fleet, options);
            ASSERT_TRUE(pools) << pools.error().message();
            EXPECT_TRUE(pools->exact);
            EXPECT_LE(pools->pools.size(), count);
            EXPECT_EQ(pools->value, reference.best(count)) << "round " << round << ", " << count << " pools";
            EXPECT_EQ(pools->bound, pools->value);
            expect_whole(fleet, *pools);
        }
    }
}

TEST(Pools, LimitsAreKeptWithTheFewestPools) {
    std::mt19937 random(4);
    std::size_t refused = 0;
    std::size_t several = 0;
    for (int round = 0; round < 30; ++round) {
        const Fleet fleet = random_fleet(random, 2 + random() % 4, 80);
        PoolOptions options;
        if (round % 2 == 0) options.lose_at_most = random() % 60;
        if (round % 3 == 0) options.never_lose = level::test::set_of({"aes", "avx2"});
        Reference reference(fleet, options);
        std::size_t fewest = 1;
        while (!reference.best(fewest)) ++fewest;
        several += fewest > 1 ? 1U : 0U;
        const auto pools = make_pools(fleet, options);
        ASSERT_TRUE(pools) << pools.error().message();
        EXPECT_TRUE(pools->exact);
        EXPECT_EQ(pools->pools.size(), fewest) << round;
        EXPECT_EQ(pools->value, reference.best(fewest));
        expect_whole(fleet, *pools);
        if (fewest == 1) continue;
        options.pools = fewest - 1;
        const auto refusal = make_pools(fleet, options);
        ASSERT_FALSE(refusal);
        EXPECT_EQ(refusal.error().kind, ErrorKind::refused);
        EXPECT_NE(refusal.error().why.find(std::to_string(fewest) + " are needed"), std::string::npos);
        ++refused;
    }
    EXPECT_GT(several, 5U);
    EXPECT_GT(refused, 5U);
}

// Both ways of searching, on kinds of which the search knows nothing but numbers.
TEST(Pools, BothSearchesAgree) {
    std::mt19937 random(5);
    for (int round = 0; round < 20; ++round) {
        const PoolModel model(arch::Architecture::x86_64, {}, {});
        std::vector<Kind> kinds;
        for (unsigned i = 0; i < 9; ++i) {
            PoolState state = model.of(random_node(random, "n", 75));
            const auto alone = model.features(state) & model.valued();
            kinds.push_back({std::move(state), alone, model.value(alone), 1 + random() % 100, {i}});
        }
        const Grouper grouper(model, {});
        for (std::size_t pools = 1; pools <= 6; ++pools) {
            const Found a = branch_and_bound(kinds, pools, grouper, 10000000);
            const Found b = by_subsets(kinds, pools, grouper);
            ASSERT_TRUE(a.exact && a.partition && b.partition);
            EXPECT_EQ(a.value, b.value);
            EXPECT_EQ(value_of(*a.partition, kinds, grouper), a.value);
            EXPECT_EQ(value_of(*b.partition, kinds, grouper), b.value);
            // Cut short, it says so, and its bound is one.
            const Found cut = branch_and_bound(kinds, pools, grouper, 3);
            EXPECT_GE(cut.bound, a.value);
            EXPECT_LE(cut.value, a.value);
            EXPECT_TRUE(!cut.exact || cut.value == a.value);
        }
    }
}

TEST(Pools, TypesThatDifferInNothingOfValueAreOneKind) {
    std::mt19937 random(6);
    auto a = random_node(random, "a");
    auto b = a;
    b.name = "b";
    b.identity.stepping = 7;
    const std::vector<profile::NodeProfile> nodes{a, b};
    const Fleet fleet = group(nodes);
    ASSERT_EQ(fleet.types.size(), 2U);
    PoolOptions options;
    options.pools = 2;
    const auto pools = make_pools(fleet, options);
    ASSERT_TRUE(pools);
    EXPECT_EQ(pools->kinds, 1U);
    EXPECT_EQ(pools->pools.size(), 1U);
}

// With too little budget and too many kinds for subsets, the result is not called exact and the bound holds.
TEST(Pools, SaysWhatItDoesNotKnow) {
    std::mt19937 random(7);
    const Fleet fleet = random_fleet(random, 40, 60);
    PoolOptions options;
    options.pools = 5;
    options.budget = 50;
    const auto pools = make_pools(fleet, options);
    ASSERT_TRUE(pools);
    EXPECT_FALSE(pools->exact);
    EXPECT_GT(pools->bound, pools->value);
    EXPECT_LE(pools->bound, pools->separate);
    EXPECT_GE(pools->value, pools->together);
    expect_whole(fleet, *pools);
}

}  // namespace
}  // namespace cpulevel::fleet::test
