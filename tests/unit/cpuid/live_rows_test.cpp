// Rows of LIVE answers, without the machine code that reads them (stub_area_test.cpp has that).
#include "cpuid/live_rows.h"

#include <gtest/gtest.h>

#include <cstring>

#include "cpuid/flat_table.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::uint32_t kTopology = 0xb;

// Leaf 1 with a LIVE byte; leaf 0xB with two subleaves of its own and an entry for all others; leaf 7 without anything LIVE.
std::vector<FlatEntry> entries() {
    const auto entry = [](std::uint32_t leaf, std::uint32_t match, std::uint32_t subleaf, arch::CpuidRegisters live) {
        FlatEntry made;
        made.leaf = leaf;
        made.match = match;
        made.subleaf = subleaf;
        made.live = live;
        return made;
    };
    return {entry(1, FlatEntry::kAnySubleaf, 0, {0, 0xff000000, 0, 0}), entry(7, FlatEntry::kThisSubleaf, 0, {}),
            entry(kTopology, FlatEntry::kThisSubleaf, 0, {~0U, ~0U, 0xff00, ~0U}),
            entry(kTopology, FlatEntry::kThisSubleaf, 1, {~0U, ~0U, 0xff00, ~0U}),
            entry(kTopology, FlatEntry::kAnySubleaf, 0, {0, 0, 0, ~0U})};
}

std::uint32_t offset_of(std::uint32_t index) { return static_cast<std::uint32_t>(sizeof(FlatHeader) + index * sizeof(FlatEntry)); }

std::vector<std::byte> table() {
    const auto all = entries();
    FlatHeader header;
    header.entry_count = static_cast<std::uint32_t>(all.size());
    header.size = offset_of(header.entry_count);
    std::vector<std::byte> bytes(header.size);
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, all.data(), all.size() * sizeof(FlatEntry));
    return bytes;
}

arch::CpuidRegisters all_of(std::uint32_t word) { return {word, word, word, word}; }

TEST(LiveRows, AnswersEachCpuItsOwnLiveBits) {
    const LiveAnswers known{{{0, {1, 0}}, all_of(0x11223344)}, {{2, {1, 0}}, all_of(0xaabbccdd)},
                            {{2, {kTopology, 1}}, all_of(0xffffffff)}};
    const auto rows = live_rows(table(), known);
    EXPECT_EQ(live_answer(rows, offset_of(0), 0), (arch::CpuidRegisters{0, 0x11000000, 0, 0}));
    EXPECT_EQ(live_answer(rows, offset_of(0), 2), (arch::CpuidRegisters{0, 0xaa000000, 0, 0}));
    EXPECT_EQ(live_answer(rows, offset_of(3), 2), (arch::CpuidRegisters{~0U, ~0U, 0xff00, ~0U}));
    EXPECT_FALSE(live_answer(rows, offset_of(0), 1)) << "a CPU that was not asked";
    EXPECT_FALSE(live_answer(rows, offset_of(0), 3)) << "a CPU beyond the last that was asked";
    EXPECT_FALSE(live_answer(rows, offset_of(3), 0)) << "asked on another CPU only";
    EXPECT_FALSE(live_answer(rows, offset_of(2), 2)) << "another subleaf";
    EXPECT_FALSE(live_answer(rows, offset_of(1), 2)) << "nothing LIVE";
}

TEST(LiveRows, HasNoneForTheEntryOfAllOtherSubleaves) {
    EXPECT_TRUE(live_rows(table(), {{{0, {kTopology, 9}}, all_of(9)}}).empty());
    const auto rows = live_rows(table(), {{{0, {kTopology, 0}}, all_of(9)}});
    EXPECT_TRUE(live_answer(rows, offset_of(2), 0));
    EXPECT_FALSE(live_answer(rows, offset_of(4), 0));
}

TEST(LiveRows, IsEmptyWhereNothingIsKnown) {
    EXPECT_TRUE(live_rows(table(), {}).empty());
    EXPECT_TRUE(live_rows(table(), {{{0, {7, 0}}, all_of(1)}}).empty());
    EXPECT_TRUE(live_rows(table(), {{{-1, {1, 0}}, all_of(1)}}).empty());
    EXPECT_TRUE(live_rows({}, {{{0, {1, 0}}, all_of(1)}}).empty());
}

// Each program that starts gets a copy: a machine of a thousand CPUs must not make that long.
TEST(LiveRows, LeavesRowsOutBeyondTheirLimit) {
    const int last = 500;  // 20 bytes for each CPU: one row fits, two do not
    const LiveAnswers known{{{last, {1, 0}}, all_of(5U << 24U)}, {{last, {kTopology, 0}}, all_of(5)}};
    const auto rows = live_rows(table(), known);
    EXPECT_LE(rows.size(), kMostLiveRows);
    EXPECT_TRUE(live_answer(rows, offset_of(0), last));
    EXPECT_FALSE(live_answer(rows, offset_of(2), last));
    EXPECT_TRUE(live_rows(table(), {{{5000, {1, 0}}, all_of(1)}}).empty());
}

TEST(LiveRows, CutBytesHaveNoAnswer) {
    const auto rows = live_rows(table(), {{{0, {1, 0}}, all_of(0x11223344)}});
    for (std::size_t size = 0; size < rows.size(); ++size) EXPECT_FALSE(live_answer(std::span(rows).first(size), offset_of(0), 0)) << size;
    EXPECT_TRUE(live_answer(rows, offset_of(0), 0));
}

}  // namespace
}  // namespace cpulevel::cpuid
