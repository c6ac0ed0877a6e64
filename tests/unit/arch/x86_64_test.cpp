#include "arch/x86_64.h"

#include <gtest/gtest.h>

#include "arch/feature.h"

namespace cpulevel::arch {
namespace {

constexpr CpuidRegisters kIntel = {0x16, 0x756E6547, 0x6C65746E, 0x49656E69};
constexpr CpuidRegisters kAmd = {0x10, 0x68747541, 0x444D4163, 0x69746E65};

bool shows(const CpuidDump& dump, std::string_view name) {
    const FeatureTable& features = table(Architecture::x86_64);
    return features.from_cpuid(dump, std::nullopt).contains(features.find(name).value());
}

// Intel Core i7-10700K (Comet Lake), from the tests of libcpuid.
TEST(X86Identity, OfAnIntelProcessor) {
    const CpuidDump dump = {
        {{0, 0}, kIntel},
        {{1, 0}, {0x000A0655, 0x00100800, 0x7FFAFBFF, 0xBFEBFBFF}},
        {{0x80000002, 0}, {0x65746E49, 0x2952286C, 0x726F4320, 0x4D542865}},
        {{0x80000003, 0}, {0x37692029, 0x3730312D, 0x204B3030, 0x20555043}},
        {{0x80000004, 0}, {0x2E332040, 0x48473038, 0x0000007A, 0x00000000}},
    };
    const X86Identity identity = x86_identity(dump);
    EXPECT_EQ(identity.vendor, "GenuineIntel");
    EXPECT_EQ(identity.brand, "Intel(R) Core(TM) i7-10700K CPU @ 3.80GHz");
    EXPECT_EQ(identity.family, 6U);
    EXPECT_EQ(identity.model, 165U);
    EXPECT_EQ(identity.stepping, 5U);
}

TEST(X86Identity, AddsTheExtendedFamilyBeyond15) {
    const X86Identity zen5 = x86_identity({{{0, 0}, kAmd}, {{1, 0}, {0x00B40F40, 0, 0, 0}}});
    EXPECT_EQ(zen5.vendor, "AuthenticAMD");
    EXPECT_EQ(zen5.family, 0x1AU);
    EXPECT_EQ(zen5.model, 0x44U);
    EXPECT_EQ(zen5.stepping, 0U);
    EXPECT_EQ(zen5.brand, "");
}

TEST(X86Identity, OfNothingIsEmpty) {
    const X86Identity identity = x86_identity({});
    EXPECT_EQ(identity.vendor, "");
    EXPECT_EQ(identity.brand, "");
    EXPECT_EQ(identity.family, 0U);
}

TEST(X86Subleaves, AreThoseOfTheManuals) {
    for (const std::uint32_t leaf : {0x4U, 0x7U, 0xBU, 0xDU, 0x14U, 0x1FU, 0x24U, 0x8000001DU, 0x80000026U}) {
        EXPECT_TRUE(x86_leaf_has_subleaves(leaf)) << std::hex << leaf;
    }
    for (const std::uint32_t leaf : {0x0U, 0x1U, 0x2U, 0x15U, 0x16U, 0x80000001U, 0x8000001EU, 0x40000000U}) {
        EXPECT_FALSE(x86_leaf_has_subleaves(leaf)) << std::hex << leaf;
    }
    // Whatever the tables place in a subleaf is in a leaf that has them.
    for (const Feature& feature : table(Architecture::x86_64).features()) {
        for (const CpuidPlace& place : feature.cpuid) {
            EXPECT_TRUE(place.subleaf == 0 || x86_leaf_has_subleaves(place.leaf)) << feature.name;
        }
    }
    for (const CpuidField& field : table(Architecture::x86_64).fields()) {
        EXPECT_TRUE(field.last_subleaf == 0 || x86_leaf_has_subleaves(field.leaf)) << field.name;
    }
}

// Intel answers a leaf beyond the maximum with the data of the last leaf: here leaf 7 repeats leaf 2.
TEST(X86Features, ALeafBeyondTheMaximumSaysNothing) {
    CpuidDump dump = {{{0, 0}, kIntel}, {{7, 0}, {0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}}};
    EXPECT_TRUE(shows(dump, "avx2"));
    dump[{0, 0}].eax = 6;
    EXPECT_FALSE(shows(dump, "avx2"));
}

TEST(X86Features, ACopyCountsOnlyWithoutTheDefiningLeaf) {
    const CpuidRegisters all = {0, 0, 0, 0xFFFFFFFF};
    EXPECT_TRUE(shows({{{0x80000001, 0}, all}}, "mmx"));
    EXPECT_FALSE(shows({{{1, 0}, {}}, {{0x80000001, 0}, all}}, "mmx"));
}

// A 32-bit program on Intel sees the SYSCALL bit clear.
TEST(X86Features, LongModeOnIntelHasSyscall) {
    const CpuidRegisters long_mode = {0, 0, 0, std::uint32_t{1} << 29U};
    EXPECT_TRUE(shows({{{0, 0}, kIntel}, {{0x80000001, 0}, long_mode}}, "syscall"));
    EXPECT_FALSE(shows({{{0, 0}, kAmd}, {{0x80000001, 0}, long_mode}}, "syscall"));
    EXPECT_FALSE(shows({{{0, 0}, kIntel}, {{0x80000001, 0}, {}}}, "syscall"));
}

TEST(X86Features, Xcr0DecidesWhatIsUsable) {
    const FeatureTable& features = table(Architecture::x86_64);
    const CpuidDump dump = {{{1, 0}, {0, 0, 0xFFFFFFFF, 0xFFFFFFFF}}, {{7, 0}, {0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}}};
    const auto usable = [&](std::uint64_t xcr0, const char* name) {
        return features.from_cpuid(dump, xcr0).contains(features.find(name).value());
    };
    EXPECT_FALSE(usable(0x3, "avx"));
    EXPECT_TRUE(usable(0x7, "avx"));
    EXPECT_FALSE(usable(0x7, "avx512f"));
    EXPECT_TRUE(usable(0xE7, "avx512f"));
    EXPECT_FALSE(usable(0xE7, "amx_tile"));
    EXPECT_TRUE(usable(0x600E7, "amx_tile"));
    EXPECT_FALSE(usable(0x7, "ospke"));
    EXPECT_TRUE(usable(0x207, "ospke"));
    EXPECT_TRUE(usable(0x3, "sse4_2"));
}

}  // namespace
}  // namespace cpulevel::arch
