// Hand-made functions: what is a site, what is not, and what must be left alone.
#include "cpuid/site_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "elf_builder.h"

namespace cpulevel::cpuid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Bytes kCpuid = code({0x0F, 0xA2});
const Bytes kRet = code({0xC3});

// Places as offsets in the text.
std::vector<std::uint64_t> offsets(const std::vector<Site>& sites) {
    std::vector<std::uint64_t> result;
    for (const Site& site : sites) {
        EXPECT_EQ(site.file_offset - Elf64Builder::text_offset(), site.address - Elf64Builder::kText);
        result.push_back(site.address - Elf64Builder::kText);
    }
    return result;
}

struct Found {
    std::vector<std::uint64_t> sites, undecided, mmap_calls;
};

Found find(const Bytes& file) {
    const auto scan = find_sites(file);
    if (!scan) {
        ADD_FAILURE() << scan.error().message();
        return {};
    }
    return {offsets(scan->sites), offsets(scan->undecided), offsets(scan->mmap_calls)};
}

Found find_in_function(const Bytes& text) { return find(Elf64Builder(text).whole_function().build()); }

TEST(SiteFinder, InstructionInAFunction) {
    const Found found = find_in_function(code({0x31, 0xC0}) + kCpuid + kRet);
    EXPECT_THAT(found.sites, ElementsAre(2));
    EXPECT_THAT(found.undecided, IsEmpty());
}

TEST(SiteFinder, PrefixedInstructionIsNamedByItsOpcode) {
    EXPECT_THAT(find_in_function(code({0x66, 0x48}) + kCpuid + kRet).sites, ElementsAre(2));
}

TEST(SiteFinder, LockedCpuidIsNoInstruction) {
    const Found found = find_in_function(code({0xF0}) + kCpuid + kRet);
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(1));
}

TEST(SiteFinder, WithoutAnAnchorNothingIsCertain) {
    const Found found = find(Elf64Builder(kCpuid + kRet).build());
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(0));
}

TEST(SiteFinder, InsideAnImmediate) {
    const Found found = find_in_function(code({0xB8, 0x0F, 0xA2, 0x00, 0x00}) + kRet);  // mov $0xa20f, %eax
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, IsEmpty());
}

TEST(SiteFinder, InsideADisplacement) {
    const Found found = find_in_function(code({0x48, 0x8D, 0x05, 0x0F, 0xA2, 0x00, 0x00}) + kRet);  // lea 0xa20f(%rip), %rax
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, IsEmpty());
}

TEST(SiteFinder, AcrossTwoInstructions) {
    // mov $0x0f000000, %eax; mov %al, 0(moffs64): 0F ends the first, A2 begins the second.
    const Bytes text = code({0xB8, 0, 0, 0, 0x0F, 0xA2, 0, 0, 0, 0, 0, 0, 0, 0}) + kRet;
    const Found found = find_in_function(text);
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, IsEmpty());
}

TEST(SiteFinder, BetweenFunctionsItMayBeData) {
    const Bytes text = code({0xC3, 0x90, 0x0F, 0xA2, 0x90}) + kCpuid + kRet;
    const Found found = find(Elf64Builder(text).function(0, 1).function(5, 8).build());
    EXPECT_THAT(found.sites, ElementsAre(5));
    EXPECT_THAT(found.undecided, ElementsAre(2));
}

TEST(SiteFinder, BehindAnInvalidInstruction) {
    // 06 (push es) is invalid in 64-bit code; nothing leads around it.
    const Found found = find_in_function(code({0xC3, 0x06}) + kCpuid + kRet);
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(2));
}

TEST(SiteFinder, DataThatTheCodeJumpsOver) {
    const Found found = find_in_function(code({0xEB, 0x03, 0x06, 0x0F, 0xA2}) + kCpuid + kRet);  // jmp +3
    EXPECT_THAT(found.sites, ElementsAre(5));
    EXPECT_THAT(found.undecided, ElementsAre(3));
}

TEST(SiteFinder, OnlyAnIndirectJumpLeadsThere) {
    const Found found = find_in_function(code({0xFF, 0xE0}) + kCpuid + kRet);  // jmp *%rax; cpuid; ret
    EXPECT_THAT(found.sites, ElementsAre(2));
}

TEST(SiteFinder, ABranchIntoAnInstructionContradictsTheLinearDecode) {
    // jmp *%rax; then data that decodes as: jmp into the middle of the mov; mov $imm; cpuid; ret
    const Bytes text = code({0xFF, 0xE0, 0xEB, 0x01, 0xB8, 0, 0, 0, 0}) + kCpuid + kRet;
    const Found found = find_in_function(text);
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(9));
}

TEST(SiteFinder, ABranchBehindALockPrefixDoesNot) {
    // jmp *%rax, so that only the linear decode sees: je over the lock prefix; lock cmpxchg %ecx, (%rdx); cpuid; ret
    const Bytes text = code({0xFF, 0xE0, 0x74, 0x01, 0xF0, 0x0F, 0xB1, 0x0A}) + kCpuid + kRet;
    EXPECT_THAT(find_in_function(text).sites, ElementsAre(8));
}

TEST(SiteFinder, AnotherAnchorThatDecodesAcrossContradicts) {
    // From 0: mov $0xa20f, %ax; ret. From 2, where another symbol claims a function: cpuid; ret.
    const Bytes text = code({0x66, 0xB8, 0x0F, 0xA2, 0xC3, 0x90, 0x90, 0x90, 0xC3});
    const Found found = find(Elf64Builder(text).function(0, 9).function(2, 5).build());
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(2));
}

TEST(SiteFinder, AnAnchorInMidInstructionContradictsEvenIfItDoesNotDecode) {
    // jmp *%rax; mov $0x06060606, %eax; cpuid; ret, and a symbol on one of the 06, which is no instruction.
    const Bytes text = code({0xFF, 0xE0, 0xB8, 0x06, 0x06, 0x06, 0x06}) + kCpuid + kRet;
    EXPECT_THAT(find_in_function(text).sites, ElementsAre(7));
    const Found found = find(Elf64Builder(text).whole_function().function(3, 4).build());
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(7));
}

TEST(SiteFinder, AJumpFromAnOverlappingFunctionIntoAnInstructionContradicts) {
    // 0: jmp 9; nop; nop. 4: jmp *%rax. 6: mov $imm, %eax, with nop; ret at 9. 11: cpuid; ret.
    const Bytes text = code({0xEB, 0x07, 0x90, 0x90, 0xFF, 0xE0, 0xB8, 0x00, 0x00, 0x90, 0xC3}) + kCpuid + kRet;
    EXPECT_THAT(find(Elf64Builder(text).function(4, 14).build()).sites, ElementsAre(11));
    const Found found = find(Elf64Builder(text).function(4, 14).function(0, 6).build());
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, ElementsAre(11));
}

TEST(SiteFinder, AnInstructionThatStartsAtTheSecondByteDisprovesTheFirst) {
    // jmp over the 0F; mov %al, moffs64 (A2 and eight bytes); ret
    const Bytes text = code({0xEB, 0x01, 0x0F, 0xA2, 0, 0, 0, 0, 0, 0, 0, 0}) + kRet;
    const Found found = find_in_function(text);
    EXPECT_THAT(found.sites, IsEmpty());
    EXPECT_THAT(found.undecided, IsEmpty());
}

TEST(SiteFinder, ADecodeThatRunsPastTheEndOfTheFunctionIsNotBelieved) {
    const Bytes text = code({0xFF, 0xE0}) + kCpuid + code({0xB8, 0x00, 0x00, 0x00, 0x00, 0xC3});
    EXPECT_THAT(find(Elf64Builder(text).function(0, 6).build()).sites, IsEmpty());
    EXPECT_THAT(find(Elf64Builder(text).function(0, 10).build()).sites, ElementsAre(2));
}

TEST(SiteFinder, SixteenBitBranchesAreUndecidable) {
    // 66 E8: a call of 4 or of 6 bytes, after the vendor of the CPU.
    EXPECT_THAT(find_in_function(code({0x66, 0xE8, 0, 0, 0, 0}) + kCpuid + kRet).sites, IsEmpty());
    EXPECT_THAT(find_in_function(code({0x66, 0xEB, 0x00}) + kCpuid + kRet).sites, IsEmpty());
    // data16 data16 rex.W call is what linkers write for thread-local storage, and is the same everywhere.
    EXPECT_THAT(find_in_function(code({0x66, 0x66, 0x48, 0xE8, 0, 0, 0, 0}) + kCpuid + kRet).sites, ElementsAre(8));
}

TEST(SiteFinder, InstructionsThatADecoderMayNotKnow) {
    struct Case {
        const char* name;
        Bytes instruction;
        bool known;
    };
    // Capstone 4 knows some and not others. Either way nothing wrong may come of it.
    const std::vector<Case> cases{
        {"endbr64", code({0xF3, 0x0F, 0x1E, 0xFA}), true},
        {"notrack jmp *%rax", code({0x3E, 0xFF, 0xE0}), true},
        {"xabort $0xf", code({0xC6, 0xF8, 0x0F}), true},
        {"3DNow pfadd", code({0x0F, 0x0F, 0xC1, 0x9E}), true},
        {"ud1 8(%rax),%eax", code({0x67, 0x0F, 0xB9, 0x40, 0x08}), false},
        {"kmovd %k0,%eax", code({0xC5, 0xFB, 0x93, 0xC0}), false},
        {"tilerelease (AMX)", code({0xC4, 0xE2, 0x78, 0x49, 0xC0}), false},
        {"vaddph (AVX512-FP16)", code({0x62, 0xF5, 0x7C, 0x48, 0x58, 0xC0}), false},
        {"REX2 (APX)", code({0xD5, 0x10, 0x89, 0xC0}), false},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        const Bytes text = each.instruction + kCpuid + kRet;
        const Found found = find_in_function(text);
        if (each.known) {
            EXPECT_THAT(found.sites, ElementsAre(each.instruction.size()));
        } else if (!found.sites.empty()) {  // a later Capstone may know it; then it must be right
            EXPECT_THAT(found.sites, ElementsAre(each.instruction.size()));
        } else {
            EXPECT_THAT(found.undecided, ElementsAre(each.instruction.size()));
        }
    }
}

TEST(SiteFinder, ThirtyTwoBitCode) {
    // 48 is dec %eax there, so 48 0F A2 are two instructions.
    const Bytes text = code({0x48}) + kCpuid + kRet;
    const auto scan = find_sites(Elf32Builder(text).whole_function().build());
    ASSERT_TRUE(scan);
    ASSERT_EQ(scan->sites.size(), 1U);
    EXPECT_EQ(scan->sites[0], (Site{.file_offset = Elf32Builder::text_offset() + 1, .address = Elf32Builder::kText + 1}));
}

TEST(SiteFinder, MappingCallsOfALoader) {
    const Bytes mmap = code({0xB8, 9, 0, 0, 0, 0x41, 0x89, 0xCA, 0x0F, 0x05, 0xC3});      // mov $9,%eax; mov %ecx,%r10d; syscall
    const Bytes mprotect = code({0xB8, 10, 0, 0, 0, 0x0F, 0x05, 0xC3});
    const Bytes munmap = code({0xB8, 11, 0, 0, 0, 0x0F, 0x05, 0xC3});
    const Bytes overwritten = code({0xB8, 9, 0, 0, 0, 0x31, 0xC0, 0x0F, 0x05, 0xC3});     // xor %eax,%eax
    const Bytes low_byte = code({0xB8, 9, 0, 0, 0, 0xB0, 0x03, 0x0F, 0x05, 0xC3});        // mov $3,%al
    const Bytes behind_call = code({0xB8, 9, 0, 0, 0, 0xFF, 0xD2, 0x0F, 0x05, 0xC3});     // call *%rdx
    const Bytes text = mmap + mprotect + munmap + overwritten + low_byte + behind_call;
    Elf64Builder builder(text);
    builder.whole_function();
    EXPECT_THAT(find(builder.build()).mmap_calls, IsEmpty()) << "not a loader";
    EXPECT_THAT(find(builder.type(ET_DYN).entry(Elf64Builder::kText).build()).mmap_calls, ElementsAre(8, 16));
}

TEST(SiteFinder, MappingCallsOfAnI386LoaderThroughAHelper) {
    const Bytes mprotect = code({0xB8, 125, 0, 0, 0, 0xCD, 0x80, 0xC3});         // 0: mov $125,%eax; int $0x80; ret
    const Bytes mmap2 = code({0xB8, 192, 0, 0, 0, 0xE8, 0x01, 0, 0, 0, 0xC3});   // 8: mov $192,%eax; call 19; ret
    const Bytes helper = code({0x53, 0x89, 0xD3, 0xCD, 0x80, 0x5B, 0xC3});       // 19: push %ebx; mov %edx,%ebx; int $0x80
    const Bytes text = mprotect + mmap2 + helper;
    const auto scan =
        find_sites(Elf32Builder(text).function(0, 8).function(8, 19).type(ET_DYN).entry(Elf32Builder::kText).build());
    ASSERT_TRUE(scan);
    ASSERT_EQ(scan->mmap_calls.size(), 2U);
    EXPECT_EQ(scan->mmap_calls[0].address, Elf32Builder::kText + 5);
    EXPECT_EQ(scan->mmap_calls[1].address, Elf32Builder::kText + 22);
}

// A function of random instructions, many with 0F A2 inside: the generator knows the truth.
TEST(SiteFinder, AgreesWithTheGeneratorOfRandomFunctions) {
    const std::vector<Bytes> instructions{
        kCpuid,
        code({0x66, 0x0F, 0xA2}),
        code({0xB9, 0x0F, 0xA2, 0x0F, 0xA2}),
        code({0x48, 0xB8, 0x01, 0x0F, 0xA2, 0x02, 0x0F, 0xA2, 0x03, 0x0F}),
        code({0xA2, 0x0F, 0xA2, 0, 0, 0, 0, 0x0F, 0xA2}),
        code({0xC7, 0x80, 0x0F, 0xA2, 0x0F, 0xA2, 0xA2, 0x0F, 0xA2, 0x0F}),
        code({0x62, 0xF1, 0x7C, 0x48, 0x58, 0x80, 0x0F, 0xA2, 0, 0}),
        code({0xC5, 0xF8, 0x58, 0x80, 0x0F, 0xA2, 0x0F, 0xA2}),
        code({0x90}),
        code({0x0F, 0x1F, 0x84, 0x00, 0x0F, 0xA2, 0x0F, 0x0F}),
        code({0x05, 0x0F, 0x0F, 0x0F, 0x0F}),
    };
    std::mt19937 random(20);
    for (int round = 0; round < 300; ++round) {
        Bytes text;
        std::vector<std::uint64_t> truth;
        for (int count = 0; count < 40; ++count) {
            const Bytes& next = instructions[random() % instructions.size()];
            if (next == instructions[0]) truth.push_back(text.size());
            if (next == instructions[1]) truth.push_back(text.size() + 1);
            text = text + next;
        }
        text = text + kRet;
        const Found found = find_in_function(text);
        ASSERT_EQ(found.sites, truth) << "round " << round;
        ASSERT_THAT(found.undecided, IsEmpty()) << "round " << round;
    }
}

}  // namespace
}  // namespace cpulevel::cpuid
