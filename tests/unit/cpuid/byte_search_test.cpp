// Both helpers of the finder's speed against the plain way.
#include "cpuid/byte_search.h"

#include <gtest/gtest.h>

#include <random>

#include "cpuid/bucket_sort.h"

namespace cpulevel::cpuid {
namespace {

TEST(ByteSearch, FindsEveryPairOfEveryLength) {
    std::mt19937 random(31);
    std::size_t found = 0;
    for (std::size_t size = 0; size < 600; ++size) {
        std::vector<std::byte> bytes(size);
        for (std::byte& each : bytes) each = static_cast<std::byte>(size % 2 == 0 ? random() % 16 : random() % 2);
        std::vector<std::size_t> expected;
        for (std::size_t at = 0; at + 1 < size; ++at) {
            if (bytes[at] == std::byte{1} && bytes[at + 1] == std::byte{0}) expected.push_back(at);
        }
        EXPECT_EQ(find_byte_pairs(bytes, std::byte{1}, std::byte{0}), expected);
        found += expected.size();
    }
    EXPECT_GT(found, 1000U);
    const std::vector<std::byte> same(1000, std::byte{7});
    EXPECT_EQ(find_byte_pairs(same, std::byte{7}, std::byte{7}).size(), same.size() - 1);
}

TEST(BucketSort, SortsWhateverTheSpread) {
    std::mt19937_64 random(32);
    for (int round = 0; round < 300; ++round) {
        std::vector<std::uint64_t> values(random() % (round % 10 == 0 ? 20000 : 300));
        const unsigned shift = static_cast<unsigned>(random() % 64);
        for (std::uint64_t& each : values) each = random() % 5 == 0 ? random() : 0x400000 + (random() >> shift);
        auto expected = values;
        std::sort(expected.begin(), expected.end());
        bucket_sort(values, [](std::uint64_t value) { return value; });
        EXPECT_EQ(values, expected);
    }
    // Equal keys: the values themselves decide.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs(1000);
    for (auto& each : pairs) each = {random() % 50, random() % 50};
    auto expected = pairs;
    std::sort(expected.begin(), expected.end());
    bucket_sort(pairs, [](const auto& pair) { return pair.first; });
    EXPECT_EQ(pairs, expected);
}

}  // namespace
}  // namespace cpulevel::cpuid
