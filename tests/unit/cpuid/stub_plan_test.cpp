// Which sites a stub area serves, where its jumps lead, how large it is. What the stubs do is in stub_area_test.cpp.
#include "cpuid/stub_area.h"

#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "stub_pieces.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::uint64_t kArea = 0x7f00'0000'0000;

StubPlan plan_for(const SitePatch& patch, std::uint64_t address) {
    static const Bytes table = table_of("amd", amd_host(), "").bytes;
    const PlacedPatch site{.patch = &patch, .address = address};
    return plan_stub_area(table, kArea, stub_area_size(table, 1), std::span(&site, 1));
}

bool is_left_out(const SitePatch& patch, std::uint64_t address) {
    const StubPlan plan = plan_for(patch, address);
    EXPECT_EQ(plan.left_out.size() + plan.jumps.size(), 1U);
    if (!plan.left_out.empty()) {
        EXPECT_EQ(plan.left_out[0], address);
    }
    return !plan.left_out.empty();
}

SitePatch simple_patch() { return Piece{.code = bytes({0x0f, 0xa2, 0x90, 0x90, 0x90})}.placed(0, 0); }

// The address of the stub as the jump has it.
std::uint64_t target_of(const TextWrite& write) {
    std::int32_t displacement = 0;
    std::memcpy(&displacement, &write.bytes[1], sizeof displacement);
    EXPECT_EQ(write.bytes[0], std::byte{0xe9});
    return write.address + SitePatch::kJumpLength + static_cast<std::uint64_t>(std::int64_t{displacement});
}

TEST(StubPlanning, LeavesOutASiteThatIsOneByteTooFar) {
    const SitePatch patch = simple_patch();
    const StubPlan near = plan_for(patch, kArea + kGiB);
    ASSERT_EQ(near.jumps.size(), 1U);
    const std::uint64_t stub = target_of(near.jumps[0]);
    // For a site below its stub the way back is the longer one, for a site above the way there.
    constexpr std::uint64_t kStubLength = 20 + 3 + 5;  // around the three moved bytes
    const std::uint64_t lowest = stub + kStubLength - 2 * kGiB - SitePatch::kJumpLength;
    const std::uint64_t highest = stub + 2 * kGiB - SitePatch::kJumpLength;
    EXPECT_FALSE(is_left_out(patch, lowest));
    EXPECT_TRUE(is_left_out(patch, lowest - 1));
    EXPECT_FALSE(is_left_out(patch, highest));
    EXPECT_TRUE(is_left_out(patch, highest + 1));
    EXPECT_TRUE(is_left_out(patch, 0x400000));
    for (const std::uint64_t site : {lowest, highest}) {
        const StubPlan plan = plan_for(patch, site);
        ASSERT_EQ(plan.jumps.size(), 1U);
        EXPECT_EQ(target_of(plan.jumps[0]), stub);
    }
}

TEST(StubPlanning, LeavesOutASiteWhoseOperandIsTooFar) {
    const Piece piece{.code = bytes({0x0f, 0xa2, 0x89, 0x05, 0, 0, 0, 0}), .operands = {{4, 8, 0}}};
    const std::uint64_t site = kArea + kGiB;
    EXPECT_FALSE(is_left_out(piece.placed(site, kArea + kGiB / 2), site));
    EXPECT_TRUE(is_left_out(piece.placed(site, kArea + 2 * kGiB + kGiB / 2), site));
    EXPECT_FALSE(is_left_out(piece.placed(kArea - kGiB, kArea - 2 * kGiB + kPage), kArea - kGiB));
    EXPECT_TRUE(is_left_out(piece.placed(kArea - kGiB, kArea - 2 * kGiB - kPage), kArea - kGiB));
}

TEST(StubPlanning, ServesTheOthersWhenOneIsLeftOut) {
    const Bytes table = table_of("amd", amd_host(), "").bytes;
    const SitePatch patch = simple_patch();
    const std::array sites{PlacedPatch{&patch, kArea - 100}, PlacedPatch{&patch, kArea + 3 * kGiB},
                           PlacedPatch{&patch, kArea - 200}};
    const StubPlan plan = plan_stub_area(table, kArea, stub_area_size(table, sites.size()), sites);
    EXPECT_EQ(plan.left_out, std::vector<std::uint64_t>{kArea + 3 * kGiB});
    ASSERT_EQ(plan.jumps.size(), 2U);
    EXPECT_EQ(plan.jumps[0].address, kArea - 100);
    EXPECT_EQ(plan.jumps[1].address, kArea - 200);
    EXPECT_LT(target_of(plan.jumps[0]), target_of(plan.jumps[1]));
}

TEST(StubPlanning, LeavesOutWhatIsNoPatch) {
    const std::uint64_t site = kArea - kPage;
    const Piece piece{.code = bytes({0x0f, 0xa2, 0x89, 0x05, 0, 0, 0, 0}), .operands = {{4, 8, 0}}};
    const SitePatch good = piece.placed(site, kArea + kPage);
    ASSERT_FALSE(is_left_out(good, site));
    const auto spoilt = [&](auto&& change) {
        SitePatch patch = good;
        change(patch);
        return is_left_out(patch, site);
    };
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.length = 4; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.length = SitePatch::kMostLength + 1; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.original[1] = std::byte{0x0b}; }));  // ud2
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.site = 1; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.site = p.length; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.operand_count = SitePatch::kMostOperands + 1; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.operands[0].displacement = 1; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.operands[0].displacement = 5; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.operands[0].displacement = 253; }));
    EXPECT_TRUE(spoilt([](SitePatch& p) { p.operands[0].instruction_end = 9; }));
}

TEST(StubPlanning, RefusesWhatIsNoTable) {
    Bytes table = table_of("amd", amd_host(), "").bytes;
    EXPECT_THROW((void)plan_stub_area(table, kArea + 8, 64 * kPage, {}), std::invalid_argument);
    table.pop_back();
    EXPECT_THROW((void)plan_stub_area(table, kArea, 64 * kPage, {}), std::invalid_argument);
}

// The bound holds for the longest sites, and the table is where an inspector looks for it.
TEST(StubPlanning, KeepsToTheSizeThatItStated) {
    const Bytes table = table_of("intel", intel_host(), "").bytes;
    Bytes code = bytes({0x0f, 0xa2});
    code.resize(SitePatch::kMostLength, std::byte{0x90});
    const SitePatch patch = Piece{.code = code}.placed(0, 0);
    for (const std::size_t count : {0UL, 1UL, 2UL, 50UL, 1000UL}) {
        std::vector<PlacedPatch> sites;
        for (std::size_t i = 0; i < count; ++i) sites.push_back({&patch, kArea - kGiB + i * 64});
        const StubPlan plan = plan_stub_area(table, kArea, stub_area_size(table, sites.size()), sites);
        EXPECT_EQ(plan.jumps.size(), count);
        EXPECT_LE(plan.bytes.size(), stub_area_size(table, count));
        EXPECT_TRUE(std::ranges::equal(table, std::span(plan.bytes).first(table.size())));
    }
}

}  // namespace
}  // namespace cpulevel::cpuid

#endif
