// Go's function table in its four layouts, and an unwind table, made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpuid/site_finder.h"
#include "elf_builder.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::uint64_t kText = Elf64Builder::kText;

template <class T>
void append(Bytes& to, T value) {
    const std::size_t at = to.size();
    to.resize(at + sizeof value);
    std::memcpy(to.data() + at, &value, sizeof value);
}

// Two functions: mov $0xa20f,%eax; ret. cpuid; ret.
const Bytes kTwoFunctions = code({0xB8, 0x0F, 0xA2, 0, 0, 0xC3, 0x0F, 0xA2, 0xC3});
constexpr std::uint64_t kSecond = 6;

void expect_second_function_only(const Bytes& file) {
    const auto scan = find_sites(file);
    ASSERT_TRUE(scan) << scan.error().message();
    ASSERT_EQ(scan->sites.size(), 1U);
    EXPECT_EQ(scan->sites[0].address, kText + kSecond);
    EXPECT_EQ(scan->undecided.size(), 0U);
}

Bytes go_table(std::uint32_t magic, std::uint64_t text_start = kText) {
    Bytes table;
    append<std::uint32_t>(table, magic);
    append<std::uint16_t>(table, 0);
    append<std::uint8_t>(table, 1);
    append<std::uint8_t>(table, 8);
    append<std::uint64_t>(table, 2);  // functions
    const bool relative = magic >= 0xFFFFFFF0 && magic <= 0xFFFFFFF1;
    if (magic == 0xFFFFFFFA) {
        for (const unsigned word : {0U, 0U, 0U, 0U, 0U, 64U}) append<std::uint64_t>(table, word);
    }
    if (relative) {
        append<std::uint64_t>(table, 0);
        append<std::uint64_t>(table, text_start);
        for (const unsigned word : {0U, 0U, 0U, 0U, 72U}) append<std::uint64_t>(table, word);
    }
    for (const std::uint64_t start : {std::uint64_t{0}, kSecond, std::uint64_t{9}}) {
        if (relative) {
            append(table, static_cast<std::uint32_t>(start));
            append<std::uint32_t>(table, 0);
        } else {
            append<std::uint64_t>(table, kText + start);
            append<std::uint64_t>(table, 0);
        }
    }
    return table;
}

TEST(SiteFinderAnchors, GoFunctionTables) {
    for (const std::uint32_t magic : {0xFFFFFFFBU, 0xFFFFFFFAU, 0xFFFFFFF0U, 0xFFFFFFF1U}) {
        SCOPED_TRACE(magic);
        expect_second_function_only(Elf64Builder(kTwoFunctions).section(".gopclntab", 0x500000, go_table(magic)).build());
    }
}

TEST(SiteFinderAnchors, UnusableGoTablesAreNotBelieved) {
    const auto sites = [](const Bytes& table) {
        const auto scan = find_sites(Elf64Builder(kTwoFunctions).section(".gopclntab", 0x500000, table).build());
        return scan ? scan->sites.size() : 99U;
    };
    EXPECT_EQ(sites(go_table(0xFFFFFFF1)), 1U);
    EXPECT_EQ(sites(go_table(0xFFFFFFF2)), 0U) << "unknown layout";
    EXPECT_EQ(sites(go_table(0xFFFFFFF1, 0)), 0U) << "text start left to a relocation";
    EXPECT_EQ(sites(go_table(0xFFFFFFF1, 0x700000)), 0U) << "functions outside the code";
    Bytes huge = go_table(0xFFFFFFF1);
    const std::uint64_t count = ~std::uint64_t{0} / 8;
    std::memcpy(huge.data() + 8, &count, sizeof count);
    EXPECT_EQ(sites(huge), 0U) << "more functions than bytes";
    Bytes disordered = go_table(0xFFFFFFFB);
    const std::uint64_t start = kText + 8;
    std::memcpy(disordered.data() + 16, &start, sizeof start);
    EXPECT_EQ(sites(disordered), 0U) << "functions out of order";
    for (std::size_t size = 0; size + 1 < go_table(0xFFFFFFF1).size() - 4; ++size) {
        const Bytes table = go_table(0xFFFFFFF1);
        EXPECT_EQ(sites(Bytes(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(size))), 0U) << size;
    }
}

// A CIE (augmentation "zR" or "zRS", 32-bit addresses relative to their place) and one FDE.
Bytes unwind_table(const char* augmentation, std::uint64_t at, std::uint64_t function, std::uint32_t size) {
    Bytes cie;
    append<std::uint32_t>(cie, 0);
    append<std::uint8_t>(cie, 1);
    for (const char* letter = augmentation; *letter != '\0'; ++letter) append<char>(cie, *letter);
    for (const unsigned byte : {0x00U, 0x01U, 0x78U, 0x10U, 0x01U, 0x1BU}) append(cie, static_cast<std::uint8_t>(byte));
    cie.resize((cie.size() + 3) / 4 * 4);
    Bytes table;
    append(table, static_cast<std::uint32_t>(cie.size()));
    table = table + cie;
    append<std::uint32_t>(table, 16);
    append(table, static_cast<std::uint32_t>(table.size()));  // distance back to the CIE at 0
    append(table, static_cast<std::int32_t>(function - (at + table.size())));
    append<std::uint32_t>(table, size);
    append<std::uint32_t>(table, 0);
    append<std::uint32_t>(table, 0);  // terminator
    return table;
}

TEST(SiteFinderAnchors, UnwindTables) {
    constexpr std::uint64_t kAt = 0x402000;
    const auto file = [&](const char* augmentation) {
        return Elf64Builder(kTwoFunctions)
            .section(".eh_frame", kAt, unwind_table(augmentation, kAt, kText + kSecond, 3))
            .function(0, kSecond)
            .build();
    };
    expect_second_function_only(file("zR"));
    // A signal trampoline's description begins one byte early, so it anchors nothing.
    const auto trampoline = find_sites(file("zRS"));
    ASSERT_TRUE(trampoline);
    EXPECT_EQ(trampoline->sites.size(), 0U);
    EXPECT_EQ(trampoline->undecided.size(), 1U);
    const auto unknown = find_sites(file("zR?"));
    ASSERT_TRUE(unknown);
    EXPECT_EQ(unknown->sites.size(), 0U);
}

TEST(SiteFinderAnchors, BuildId) {
    const auto scan = find_sites(Elf64Builder(kTwoFunctions).build());
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->build_id, "");
}

}  // namespace
}  // namespace cpulevel::cpuid
