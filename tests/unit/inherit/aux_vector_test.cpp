// The auxiliary vector as bytes: what /proc/PID/auxv and prctl() carry.
#include "inherit/aux_vector.h"

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace cpulevel::inherit {
namespace {

template <class Word>
std::vector<std::byte> bytes(std::initializer_list<Word> words) {
    std::vector<std::byte> blob(words.size() * sizeof(Word));
    std::memcpy(blob.data(), std::data(words), blob.size());
    return blob;
}

TEST(AuxVector, ParsesPairsUpToAtNull) {
    const auto blob = bytes<std::uint64_t>({kAtHwcap, 0x178bfbff, kAtHwcap2, 2, kAtNull, 0, kAtHwcap3, 7});
    const auto vector = AuxVector::parse(blob, WordSize::bits64);
    ASSERT_TRUE(vector);
    ASSERT_EQ(vector->entries().size(), 2U);
    EXPECT_EQ(vector->find(kAtHwcap), 0x178bfbffU);
    EXPECT_EQ(vector->find(kAtHwcap2), 2U);
    EXPECT_EQ(vector->find(kAtHwcap3), std::nullopt) << "entries behind AT_NULL are not there";
}

TEST(AuxVector, WordsOf32BitProgramsAreFourBytes) {
    const auto blob = bytes<std::uint32_t>({kAtHwcap, 0xffffffff, kAtHwcap2, 3, kAtNull, 0});
    const auto vector = AuxVector::parse(blob, WordSize::bits32);
    ASSERT_TRUE(vector);
    EXPECT_EQ(vector->find(kAtHwcap), 0xffffffffU);
    EXPECT_EQ(vector->find(kAtHwcap2), 3U);
    EXPECT_EQ(vector->serialize(), blob);
}

TEST(AuxVector, WithoutAtNullIsReadToItsEnd) {
    const auto vector = AuxVector::parse(bytes<std::uint64_t>({kAtHwcap, 1, kAtHwcap2, 2}), WordSize::bits64);
    ASSERT_TRUE(vector);
    EXPECT_EQ(vector->entries().size(), 2U);
}

TEST(AuxVector, EndingInsideAnEntryIsAnErrorThatNamesThePlace) {
    auto blob = bytes<std::uint64_t>({kAtHwcap, 1, kAtHwcap2, 2});
    for (std::size_t cut = 17; cut < 32; ++cut) {
        const auto vector = AuxVector::parse(std::span(blob).first(cut), WordSize::bits64);
        ASSERT_FALSE(vector) << cut;
        EXPECT_NE(vector.error().message().find("offset 16"), std::string::npos) << vector.error().message();
    }
}

TEST(AuxVector, CutBehindAtNullIsNoError) {
    const auto blob = bytes<std::uint32_t>({kAtHwcap, 1, kAtNull, 0, 99});
    ASSERT_TRUE(AuxVector::parse(blob, WordSize::bits32));
}

TEST(AuxVector, EmptyIsAVectorWithoutEntries) {
    const auto vector = AuxVector::parse({}, WordSize::bits64);
    ASSERT_TRUE(vector);
    EXPECT_TRUE(vector->entries().empty());
    EXPECT_EQ(vector->serialize(), std::vector<std::byte>(16));
}

TEST(AuxVector, FindAndReplaceTakeTheFirstOfSeveral) {
    AuxVector vector(WordSize::bits64, {{kAtHwcap, 1}, {kAtPageSize, 4096}, {kAtHwcap, 2}});
    EXPECT_EQ(vector.find(kAtHwcap), 1U);
    EXPECT_TRUE(vector.replace(kAtHwcap, 9));
    EXPECT_EQ(vector, AuxVector(WordSize::bits64, {{kAtHwcap, 9}, {kAtPageSize, 4096}, {kAtHwcap, 2}}));
}

TEST(AuxVector, ReplaceNeverAdds) {
    AuxVector vector(WordSize::bits64, {{kAtHwcap, 1}});
    EXPECT_FALSE(vector.replace(kAtHwcap2, 9));
    EXPECT_EQ(vector, AuxVector(WordSize::bits64, {{kAtHwcap, 1}}));
}

TEST(AuxVector, ReplaceKeepsAValueToTheWordSize) {
    AuxVector vector(WordSize::bits32, {{kAtHwcap, 1}});
    EXPECT_TRUE(vector.replace(kAtHwcap, 0x5'0000'0003));
    EXPECT_EQ(vector.find(kAtHwcap), 3U);
}

TEST(AuxVector, ParsesWhatItSerializes) {
    std::mt19937_64 random(20260301);
    for (int round = 0; round < 2000; ++round) {
        const WordSize size = random() % 2 == 0 ? WordSize::bits32 : WordSize::bits64;
        const std::uint64_t mask = size == WordSize::bits32 ? 0xffffffffU : ~std::uint64_t{0};
        std::vector<AuxEntry> entries(random() % 40);
        for (AuxEntry& entry : entries) entry = {1 + random() % 60, random() & mask};
        const AuxVector vector(size, entries);
        const auto blob = vector.serialize();
        EXPECT_EQ(blob.size(), (entries.size() + 1) * 2 * static_cast<std::size_t>(size));
        const auto again = AuxVector::parse(blob, size);
        ASSERT_TRUE(again);
        EXPECT_EQ(*again, vector);
    }
}

TEST(AuxVector, ReadsThisProcess) {
    std::ifstream file("/proc/self/auxv", std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    ASSERT_FALSE(content.empty());
    const auto vector = AuxVector::parse(std::as_bytes(std::span(content)),
                                         sizeof(void*) == 8 ? WordSize::bits64 : WordSize::bits32);
    ASSERT_TRUE(vector) << vector.error().message();
    EXPECT_TRUE(vector->find(kAtHwcap));
    const auto page = vector->find(kAtPageSize);
    ASSERT_TRUE(page);
    EXPECT_TRUE(std::has_single_bit(*page));
}

}  // namespace
}  // namespace cpulevel::inherit
