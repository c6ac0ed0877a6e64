// Stub areas that are found in a process: ours are recognised, and nothing else is, whatever byte of them differs.
#include "cpuid/stub_check.h"

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "cpuid/flat_table.h"
#include "cpuid/lookup_routine.h"
#include "stub_pieces.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::uint64_t kArea = 0x7f00'0000'0000;
constexpr std::uint64_t kSite = kArea - 4096;

const Bytes& table() {
    static const Bytes bytes = table_of("amd", amd_host(), "").bytes;
    return bytes;
}

SitePatch simple_patch() { return Piece{.code = bytes({0x0f, 0xa2, 0x90, 0x90, 0x90})}.placed(0, 0); }

StubPlan plan() {
    static const SitePatch patch = simple_patch();
    const PlacedPatch site{.patch = &patch, .address = kSite};
    return plan_stub_area(table(), kArea, stub_area_size(table(), 1), std::span(&site, 1));
}

std::uint64_t target_of(const TextWrite& write) {
    std::int32_t displacement = 0;
    std::memcpy(&displacement, &write.bytes[1], sizeof displacement);
    return write.address + SitePatch::kJumpLength + static_cast<std::uint64_t>(std::int64_t{displacement});
}

// The same without its last entries.
Bytes shorter(std::size_t entries) {
    Bytes cut(table().begin(), table().end() - static_cast<std::ptrdiff_t>(entries * sizeof(FlatEntry)));
    FlatHeader header;
    std::memcpy(&header, cut.data(), sizeof header);
    header.size = static_cast<std::uint32_t>(cut.size());
    header.entry_count -= static_cast<std::uint32_t>(entries);
    std::memcpy(cut.data(), &header, sizeof header);
    return cut;
}

TEST(StubCheck, KnowsAnAreaOfOurs) {
    const auto found = inspect_stub_area(plan().bytes, table());
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->same_table);
    EXPECT_EQ(found->table_size, table().size());
}

TEST(StubCheck, KnowsOneByteOfDifferenceInTableAndRoutine) {
    const StubPlan made = plan();
    const auto found = inspect_stub_area(made.bytes, table());
    ASSERT_TRUE(found);
    const std::size_t end = found->routine_offset + lookup_routine().code.size();
    for (std::size_t at = 0; at < end; ++at) {
        if (at >= found->table_size && at < found->routine_offset) continue;  // padding
        Bytes area = made.bytes;
        area[at] ^= std::byte{0x10};
        const auto changed = inspect_stub_area(area, table());
        if (at >= offsetof(FlatHeader, live_at) && at < offsetof(FlatHeader, live_at) + sizeof(FlatHeader::live_at)) {
            EXPECT_TRUE(changed && changed->has_live_rows) << at;  // the level's all the same
            continue;
        }
        EXPECT_FALSE(changed && (changed->same_table || changed->has_live_rows)) << at;
        if (at >= found->routine_offset) {
            EXPECT_FALSE(changed) << at;
        }
    }
}

TEST(StubCheck, ACutAreaIsNone) {
    const StubPlan made = plan();
    const auto found = inspect_stub_area(made.bytes, table());
    ASSERT_TRUE(found);
    const std::size_t end = found->routine_offset + lookup_routine().code.size();
    for (std::size_t size = 0; size < end; ++size) {
        EXPECT_FALSE(inspect_stub_area(std::span(made.bytes).first(size), table())) << size;
    }
}

TEST(StubCheck, RandomBytesAreNone) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 1000; ++i) {
        Bytes area(random() % 8192);
        for (std::byte& byte : area) byte = static_cast<std::byte>(random());
        FlatHeader header;  // one that claims anything
        header.size = static_cast<std::uint32_t>(random());
        header.entry_count = static_cast<std::uint32_t>((header.size - sizeof header) / sizeof(FlatEntry));
        if (area.size() >= sizeof header && i % 2 == 0) std::memcpy(area.data(), &header, sizeof header);
        EXPECT_FALSE(inspect_stub_area(area, table()));
    }
}

TEST(StubCheck, KnowsTheStubOfASite) {
    const StubPlan made = plan();
    ASSERT_EQ(made.jumps.size(), 1U);
    const auto found = inspect_stub_area(made.bytes, table());
    ASSERT_TRUE(found);
    const std::uint64_t routine = kArea + found->routine_offset;
    const std::uint64_t target = target_of(made.jumps[0]);
    const auto stub = std::span(made.bytes).subspan(target - kArea);
    SitePatch patch = simple_patch();
    const PlacedPatch site{&patch, kSite};
    EXPECT_TRUE(is_stub_of(site, stub, target, routine));
    EXPECT_FALSE(is_stub_of({&patch, kSite + 1}, stub, target, routine)) << "it returns behind another site";
    EXPECT_FALSE(is_stub_of(site, stub, target, routine + 1)) << "it calls something else";
    EXPECT_FALSE(is_stub_of({nullptr, kSite}, stub, target, routine));
    const auto length = site_stub(target, routine, site)->size();
    for (std::size_t at = 0; at < length; ++at) {
        Bytes changed(stub.begin(), stub.end());
        changed[at] ^= std::byte{1};
        EXPECT_FALSE(is_stub_of(site, changed, target, routine)) << at;
        EXPECT_FALSE(is_stub_of(site, stub.first(at), target, routine)) << at;
    }
    patch.original[2] = std::byte{0xcc};
    EXPECT_FALSE(is_stub_of(site, stub, target, routine)) << "it moved another instruction";
}

TEST(FittedTable, AnswersAsTheTableThatItIsMadeFrom) {
    const Bytes small = shorter(5);
    const auto fitted = fitted_table(small, table().size());
    ASSERT_TRUE(fitted);
    EXPECT_EQ(fitted->size(), table().size());
    const auto before = FlatTable::view(small);
    const auto after = FlatTable::view(*fitted);
    ASSERT_TRUE(before && after);
    const auto real = [](std::uint32_t leaf, std::uint32_t subleaf) { return arch::CpuidRegisters{leaf, subleaf, ~leaf, ~subleaf}; };
    std::mt19937 random(4);
    for (int i = 0; i < 20'000; ++i) {
        std::uint32_t leaf = random() % 64;
        if (i % 3 == 1) leaf += 0x80000000U;
        if (i % 3 == 2) leaf = static_cast<std::uint32_t>(random());
        if (i % 100 == 0) leaf = ~0U;
        const auto subleaf = static_cast<std::uint32_t>(random() % 20);
        EXPECT_EQ(before->lookup(leaf, subleaf, real), after->lookup(leaf, subleaf, real)) << leaf << " " << subleaf;
    }
}

TEST(FittedTable, IsKnownWhereItWasWritten) {
    const Bytes small = shorter(5);
    StubPlan made = plan();
    const auto fitted = fitted_table(small, table().size());
    ASSERT_TRUE(fitted);
    std::ranges::copy(*fitted, made.bytes.begin());
    const auto found = inspect_stub_area(made.bytes, small);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->same_table);
    const auto other = inspect_stub_area(made.bytes, table());
    EXPECT_TRUE(other && !other->same_table);
}

TEST(FittedTable, OnlyGrows) {
    EXPECT_FALSE(fitted_table(table(), table().size() - sizeof(FlatEntry)));
    EXPECT_FALSE(fitted_table(table(), table().size() + 1));
    EXPECT_FALSE(fitted_table(std::span(table()).first(10), 1000));
    const auto same = fitted_table(table(), table().size());
    ASSERT_TRUE(same);
    EXPECT_EQ(*same, table());
}

}  // namespace
}  // namespace cpulevel::cpuid

#endif
