// Hand-made functions: which CPUID instructions may become jumps, and what forbids it.
#include "cpuid/patch_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "elf_builder.h"

namespace cpulevel::cpuid {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

constexpr std::uint64_t kText = Elf64Builder::kText;
const Bytes kCpuid = code({0x0F, 0xA2});
const Bytes kSixBytes = kCpuid + code({0x89, 0xC6, 0x31, 0xC0});  // cpuid; mov %eax, %esi; xor %eax, %eax
const Bytes kRet = code({0xC3});

SiteScan scan(const Bytes& file) {
    auto result = find_sites(file);
    if (!result) {
        ADD_FAILURE() << result.error().message();
        return {};
    }
    EXPECT_EQ(result->patches.size() + result->unpatched.size(), result->sites.size());
    return std::move(*result);
}

// Why the only site of a file has no patch; nothing if it has one.
std::optional<PatchRefusal> refusal(const Bytes& file) {
    const SiteScan found = scan(file);
    EXPECT_EQ(found.sites.size(), 1U);
    return found.unpatched.empty() ? std::nullopt : std::optional(found.unpatched.front().reason);
}

std::optional<PatchRefusal> refusal_in_function(const Bytes& text) {
    return refusal(Elf64Builder(text).whole_function().build());
}

Bytes little_endian(std::uint64_t value, unsigned size) {
    Bytes result;
    for (unsigned at = 0; at < size; ++at) result.push_back(static_cast<std::byte>(value >> (8 * at)));
    return result;
}

Bytes zeros(std::size_t count) { return Bytes(count); }
Bytes nops(std::size_t count) { return Bytes(count, std::byte{0x90}); }

// A four-byte distance to offset `to`, standing at offset `at` as an instruction's last bytes.
Bytes distance(std::int64_t to, std::int64_t at) { return little_endian(static_cast<std::uint64_t>(to - (at + 4)), 4); }

TEST(PatchFinder, MovesWholeInstructions) {
    const SiteScan found = scan(Elf64Builder(code({0x90}) + kSixBytes + kRet).whole_function().build());
    ASSERT_EQ(found.patches.size(), 1U);
    const SitePatch& patch = found.patches.front();
    EXPECT_EQ(patch.file_offset, Elf64Builder::text_offset() + 1);
    EXPECT_EQ(patch.length, 6);
    EXPECT_EQ(patch.operand_count, 0);
    EXPECT_TRUE(std::ranges::equal(std::span(patch.original).first(6), kSixBytes));
}

TEST(PatchFinder, NamesOperandsRelativeToRip) {
    // cpuid; mov $imm8, disp(%rip); lea disp(%rip), %rax is too far behind to move.
    const Bytes behind = code({0xC6, 0x05, 0, 1, 0, 0, 7, 0x48, 0x8D, 0x05, 0, 1, 0, 0});
    const SiteScan found = scan(Elf64Builder(kCpuid + behind + kRet).whole_function().build());
    ASSERT_EQ(found.patches.size(), 1U);
    EXPECT_EQ(found.patches[0].length, 9);
    ASSERT_EQ(found.patches[0].operand_count, 1);
    EXPECT_EQ(found.patches[0].operands[0], (SitePatch::RipOperand{.displacement = 4, .instruction_end = 9}));
}

TEST(PatchFinder, ABranchMayLeadToTheSiteAndBehindButNotBetween) {
    for (const int target : {0, 1, 2, 3, 4, 5, 6}) {
        SCOPED_TRACE(target);
        // The branch stands behind the moved bytes: jne target. One into an instruction makes the decode unbelievable.
        const Bytes branch = code({0x75, static_cast<unsigned>(target - 8) & 0xFFU});
        const SiteScan found = scan(Elf64Builder(kSixBytes + branch + kRet).whole_function().build());
        const bool free = target == 0 || target == 6;
        EXPECT_EQ(found.patches.size(), free ? 1U : 0U);
    }
    EXPECT_EQ(refusal_in_function(kSixBytes + code({0x75, 0xFC}) + kRet), PatchRefusal::branch_target);  // to 4
}

TEST(PatchFinder, SomeInstructionsMustNotMove) {
    struct Case {
        const char* name;
        Bytes behind;
    };
    const std::vector<Case> cases{
        {"ret", kRet},
        {"call", code({0xE8, 0, 0, 0, 0})},
        {"call through a register", code({0xFF, 0xD0})},
        {"je", code({0x74, 0x10})},
        {"jmp", code({0xEB, 0x10})},
        {"loop", code({0xE2, 0x10})},
        {"syscall", code({0x0F, 0x05})},
        {"int3", code({0xCC})},
        {"ud2", code({0x0F, 0x0B})},
        {"endbr64", code({0xF3, 0x0F, 0x1E, 0xFA})},
        {"xbegin", code({0xC7, 0xF8, 0x10, 0, 0, 0})},
        {"popf", code({0x9D})},
        {"an address of 32 bits", code({0x67, 0x8B, 0x05, 0, 0, 0, 0})},
        {"wrmsr", code({0x0F, 0x30})},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        EXPECT_EQ(refusal_in_function(kCpuid + each.behind + nops(32) + kRet), PatchRefusal::immovable);
        EXPECT_EQ(refusal_in_function(kCpuid + code({0x89, 0xC6}) + each.behind + nops(32) + kRet), PatchRefusal::immovable);
    }
    EXPECT_EQ(refusal_in_function(kCpuid + code({0x0F, 0x01, 0xD0}) + kRet), std::nullopt) << "xgetbv";
    EXPECT_EQ(refusal_in_function(kCpuid + code({0x0F, 0x31, 0x90}) + kRet), std::nullopt) << "rdtsc";
}

TEST(PatchFinder, TwoCpuidsInARow) {
    const SiteScan found = scan(Elf64Builder(kCpuid + kSixBytes + kRet).whole_function().build());
    ASSERT_EQ(found.sites.size(), 2U);
    ASSERT_EQ(found.patches.size(), 1U);
    EXPECT_EQ(found.patches[0].file_offset, Elf64Builder::text_offset() + 2);
    EXPECT_THAT(found.unpatched, ElementsAre(Unpatched{Elf64Builder::text_offset(), PatchRefusal::immovable}));
}

// `mov eax, 7; cpuid`, and behind it what cannot move.
const Bytes kLead = code({0xB8, 0x07, 0, 0, 0});

TEST(PatchFinder, MovesWhatLeadsToTheSiteWhereNothingElseCan) {
    const SiteScan found = scan(Elf64Builder(code({0x90}) + kLead + kCpuid + kRet).whole_function().build());
    ASSERT_EQ(found.patches.size(), 1U);
    const SitePatch& patch = found.patches[0];
    EXPECT_EQ(patch.file_offset, Elf64Builder::text_offset() + 1);
    EXPECT_EQ(patch.site_offset(), Elf64Builder::text_offset() + 6);
    EXPECT_EQ(patch.site, 5);
    EXPECT_EQ(patch.length, 7);
    EXPECT_THAT(std::span(patch.original).first(7), ElementsAreArray(kLead + kCpuid));
}

TEST(PatchFinder, SomethingArrivesBehindTheSite) {
    // cpuid; sub esi, 1; jnz back to the sub
    const Bytes loop = kCpuid + code({0x83, 0xEE, 0x01, 0x75, 0xFB}) + kRet;
    const SiteScan found = scan(Elf64Builder(kLead + loop).whole_function().build());
    ASSERT_EQ(found.patches.size(), 1U);
    EXPECT_EQ(found.patches[0].site, 5);
    EXPECT_EQ(refusal_in_function(loop), PatchRefusal::branch_target) << "nothing leads to it";
}

// A uprobe there has the file's instruction executed elsewhere, and comes back to what is behind it.
TEST(PatchFinder, AShortFirstInstructionOfAFunctionDoesNotMove) {
    const Bytes two = code({0x89, 0xF8, 0x31, 0xC9}) + kCpuid + kRet;  // mov %edi, %eax; xor %ecx, %ecx; cpuid
    EXPECT_NE(refusal_in_function(two), std::nullopt);
    EXPECT_EQ(refusal_in_function(code({0x90}) + two), std::nullopt);
    EXPECT_EQ(refusal_in_function(kLead + kCpuid + kRet), std::nullopt) << "what is behind the jump is the CPUID";
}

TEST(PatchFinder, SomethingArrivesAtTheSiteItself) {
    // mov eax, 7; cpuid; jnz to the cpuid: neither side can move
    EXPECT_NE(refusal_in_function(kLead + kCpuid + code({0x75, 0xFC}) + kRet), std::nullopt);
    // To the mov: that is where the jump will stand.
    EXPECT_EQ(refusal_in_function(kLead + kCpuid + code({0x75, 0xF7}) + kRet), std::nullopt);
}

TEST(PatchFinder, WhatMovedForOneSiteDoesNotMoveForAnother) {
    // The first moves the mov behind it; the second, with a return behind it, would need the same mov.
    const SiteScan found = scan(Elf64Builder(kCpuid + kLead + kCpuid + kRet).whole_function().build());
    ASSERT_EQ(found.sites.size(), 2U);
    ASSERT_EQ(found.patches.size(), 1U);
    EXPECT_EQ(found.patches[0].site, 0);
    EXPECT_THAT(found.unpatched, ElementsAre(Unpatched{Elf64Builder::text_offset() + 7, PatchRefusal::immovable}));
}

TEST(PatchFinder, TheFunctionMustNotEndBeforeTheJumpDoes) {
    EXPECT_EQ(refusal(Elf64Builder(kCpuid + code({0x89, 0xC6}) + nops(8)).function(0, 4).build()), PatchRefusal::immovable);
    EXPECT_EQ(refusal(Elf64Builder(kCpuid + code({0x89, 0xC6}) + nops(8)).function(0, 5).build()), std::nullopt);
}

TEST(PatchFinder, PrefixedCpuidStaysAsItIs) {
    EXPECT_EQ(refusal_in_function(code({0x66}) + kSixBytes + kRet), PatchRefusal::prefixes);
}

TEST(PatchFinder, TheLeafInFrontIsNoBranch) {
    // mov $1, %eax; cpuid: the four bytes before the site would lead to its second byte, were they a displacement.
    EXPECT_EQ(refusal_in_function(code({0xB8, 1, 0, 0, 0}) + kSixBytes + kRet), std::nullopt);
}

TEST(PatchFinder, BranchesOfOtherFunctionsCountWhereverTheyStand) {
    // The function is [0, 7); what follows is not known to be code, and the branches are at odd places in it.
    const Bytes function = kSixBytes + kRet;
    const auto with = [&](const Bytes& behind) {
        return refusal(Elf64Builder(function + behind + nops(8)).function(0, 7).build());
    };
    for (const std::int64_t target : {-1, 0, 1, 2, 3, 4, 5, 6}) {
        SCOPED_TRACE(target);
        const auto expected = target >= 1 && target <= 5 ? std::optional(PatchRefusal::branch_target) : std::nullopt;
        EXPECT_EQ(with(code({0xB0, 0xE9}) + distance(target, 9)), expected) << "jmp";
        EXPECT_EQ(with(code({0xB0, 0x0F, 0x85}) + distance(target, 10)), expected) << "jne";
        EXPECT_EQ(with(code({0x48, 0x8D, 0x05}) + distance(target, 10)), expected) << "lea";
        EXPECT_EQ(with(code({0xB0, 0xEB, static_cast<unsigned>(target - 10) & 0xFFU})), expected) << "short jmp";
        EXPECT_EQ(with(code({0xB0, 0x75, static_cast<unsigned>(target - 10) & 0xFFU})), expected) << "short jne";
    }
}

TEST(PatchFinder, PointersInTheFileCount) {
    for (const std::uint64_t target : {0U, 1U, 4U, 5U, 6U}) {
        SCOPED_TRACE(target);
        const Bytes text = kSixBytes + kRet + nops(1) + zeros(4) + little_endian(kText + target, 8);
        const auto expected = target >= 1 && target <= 5 ? std::optional(PatchRefusal::anchor) : std::nullopt;
        EXPECT_EQ(refusal(Elf64Builder(text).type(ET_DYN).function(0, 7).build()), expected);
    }
}

TEST(PatchFinder, AnImmediateAddressCountsInAProgramAtAFixedAddress) {
    const Bytes text = kSixBytes + kRet + code({0xBF}) + little_endian(kText + 4, 4) + kRet;  // mov $label, %edi
    EXPECT_EQ(refusal(Elf64Builder(text).function(0, 7).build()), PatchRefusal::branch_target);
}

TEST(PatchFinder, ASymbolOrFunctionThatStartsAmongTheMoved) {
    EXPECT_EQ(refusal(Elf64Builder(kSixBytes + kRet).whole_function().function(4, 7).build()), PatchRefusal::anchor);
    EXPECT_EQ(refusal(Elf64Builder(kSixBytes + kRet).whole_function().function(6, 7).build()), std::nullopt);
}

TEST(PatchFinder, AJumpThroughARegisterMayLeadAnywhere) {
    EXPECT_EQ(refusal_in_function(kSixBytes + code({0xFF, 0xE0})), PatchRefusal::indirect_jump);        // jmp *%rax
    EXPECT_EQ(refusal_in_function(kSixBytes + code({0x3E, 0xFF, 0xE0})), PatchRefusal::indirect_jump);  // notrack
}

TEST(PatchFinder, AJumpThroughMemoryReadsAPointer) {
    EXPECT_EQ(refusal_in_function(kSixBytes + code({0xFF, 0x25, 0, 1, 0, 0})), std::nullopt);  // jmp *0x100(%rip)
}

TEST(PatchFinder, APartOfTheFunctionElsewhereCountsToo) {
    // 0: cpuid...; 6: jne 9; 8: ret. 9, another function or a cold part of this one: jmp *%rax.
    const Bytes text = kSixBytes + code({0x75, 0x01, 0xC3});
    EXPECT_EQ(refusal(Elf64Builder(text + code({0xFF, 0xE0})).function(0, 9).function(9, 11).build()),
              PatchRefusal::indirect_jump);
    EXPECT_EQ(refusal(Elf64Builder(text + code({0x31, 0xC0, 0xC3})).function(0, 9).function(9, 12).build()), std::nullopt);
    EXPECT_EQ(refusal(Elf64Builder(text + code({0x31, 0xC0, 0xC3})).function(0, 9).build()), PatchRefusal::indirect_jump)
        << "nothing is known of what it jumps to";
}

// cpuid...; lea table(%rip), %rdi; movslq (%rdi,%rsi,4), %rax; add %rdi, %rax; jmp *%rax; ret at 22, table at 23.
Bytes function_with_switch(const std::vector<std::int64_t>& targets) {
    constexpr std::int64_t kTable = 23;
    Bytes text = kSixBytes + code({0x48, 0x8D, 0x3D}) + distance(kTable, 9) +
                 code({0x48, 0x63, 0x04, 0xB7, 0x48, 0x01, 0xF8, 0xFF, 0xE0}) + kRet;
    for (const std::int64_t target : targets) text = text + little_endian(static_cast<std::uint64_t>(target - kTable), 4);
    return text + little_endian(0x7FFFFFFF, 4);  // leads nowhere
}

TEST(PatchFinder, ASwitchLeadsWhereItsTableSays) {
    const auto with = [](const std::vector<std::int64_t>& targets) {
        return refusal(Elf64Builder(function_with_switch(targets)).function(0, 23).build());
    };
    EXPECT_EQ(with({22, 22, 6, 0}), std::nullopt);
    EXPECT_EQ(with({22, 4}), PatchRefusal::branch_target);
    EXPECT_EQ(with({22, 22, 2}), PatchRefusal::branch_target);
}

TEST(PatchFinder, BytesThatAreMappedTwiceStayAsTheyAre) {
    Bytes file = Elf64Builder(kSixBytes + kRet).whole_function().build();
    EXPECT_EQ(refusal(file), std::nullopt);
    // Another table of program headers at the end: the only one twice, the second time at another address.
    Elf64_Ehdr header{};
    std::memcpy(&header, file.data(), sizeof header);
    Elf64_Phdr program{};
    std::memcpy(&program, file.data() + header.e_phoff, sizeof program);
    program.p_filesz = program.p_memsz = file.size() - program.p_offset;
    header.e_phoff = file.size();
    header.e_phnum = 2;
    std::memcpy(file.data(), &header, sizeof header);
    for (const std::uint64_t address : {kText, kText + 0x100000}) {
        program.p_vaddr = address;
        const std::size_t at = file.size();
        file.resize(at + sizeof program);
        std::memcpy(file.data() + at, &program, sizeof program);
    }
    EXPECT_EQ(refusal(file), PatchRefusal::undecoded);
}

TEST(PatchFinder, OfThirtyTwoBitCodeThereIsNothing) {
    const auto found = find_sites(Elf32Builder(kSixBytes + kRet).whole_function().build());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->sites.size(), 1U);
    EXPECT_THAT(found->patches, IsEmpty());
    EXPECT_THAT(found->unpatched, IsEmpty());
}

}  // namespace
}  // namespace cpulevel::cpuid
