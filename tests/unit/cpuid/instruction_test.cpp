#include "cpuid/instruction.h"

#include <gtest/gtest.h>

#include <vector>

namespace cpulevel::cpuid {
namespace {

std::vector<std::byte> bytes(std::initializer_list<unsigned> values) {
    std::vector<std::byte> result;
    for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

void expect_cpuid(const std::vector<std::byte>& code, unsigned length, CodeMode mode = CodeMode::bits64) {
    const auto found = recognise_cpuid(code, mode);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->length, length);
    EXPECT_EQ(found->opcode_offset, length - 2);
}

TEST(RecogniseCpuid, PlainAndWithEveryLegalPrefix) {
    expect_cpuid(bytes({0x0F, 0xA2}), 2);
    expect_cpuid(bytes({0x0F, 0xA2, 0x90, 0x90}), 2);
    for (const unsigned prefix : {0x66U, 0x67U, 0xF2U, 0xF3U, 0x26U, 0x2EU, 0x36U, 0x3EU, 0x64U, 0x65U}) {
        SCOPED_TRACE(prefix);
        expect_cpuid(bytes({prefix, 0x0F, 0xA2}), 3);
        expect_cpuid(bytes({prefix, 0x0F, 0xA2}), 3, CodeMode::bits32);
    }
    for (unsigned rex = 0x40; rex <= 0x4F; ++rex) {
        SCOPED_TRACE(rex);
        expect_cpuid(bytes({rex, 0x0F, 0xA2}), 3);
        expect_cpuid(bytes({0x66, rex, 0x0F, 0xA2}), 4);
        expect_cpuid(bytes({rex, 0x66, 0x0F, 0xA2}), 4);  // the CPU ignores this REX, and executes CPUID
    }
}

TEST(RecogniseCpuid, RexIsAnInstructionOfItsOwnIn32BitCode) {
    EXPECT_FALSE(recognise_cpuid(bytes({0x48, 0x0F, 0xA2}), CodeMode::bits32));
}

TEST(RecogniseCpuid, LockMakesItInvalid) {
    EXPECT_FALSE(recognise_cpuid(bytes({0xF0, 0x0F, 0xA2})));
    EXPECT_FALSE(recognise_cpuid(bytes({0x66, 0xF0, 0x48, 0x0F, 0xA2})));
}

TEST(RecogniseCpuid, FifteenBytesAtMost) {
    std::vector<std::byte> code(13, std::byte{0x66});
    code.push_back(std::byte{0x0F});
    code.push_back(std::byte{0xA2});
    expect_cpuid(code, 15);
    code.insert(code.begin(), std::byte{0x66});
    EXPECT_FALSE(recognise_cpuid(code));
    EXPECT_FALSE(recognise_cpuid(std::vector<std::byte>(100, std::byte{0x66})));
}

TEST(RecogniseCpuid, OtherInstructionsAndTruncatedOnes) {
    EXPECT_FALSE(recognise_cpuid({}));
    EXPECT_FALSE(recognise_cpuid(bytes({0x0F})));
    EXPECT_FALSE(recognise_cpuid(bytes({0x66})));
    EXPECT_FALSE(recognise_cpuid(bytes({0x0F, 0xA3})));
    EXPECT_FALSE(recognise_cpuid(bytes({0xF4, 0xA2})));
    EXPECT_FALSE(recognise_cpuid(bytes({0x90, 0x0F, 0xA2})));
}

}  // namespace
}  // namespace cpulevel::cpuid
