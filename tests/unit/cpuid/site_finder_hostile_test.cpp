// Damaged and hostile files: a clear error or a sound answer, never a crash, a hang or a place outside the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "cpuid/site_finder.h"
#include "elf_builder.h"

namespace cpulevel::cpuid {
namespace {

using testing::HasSubstr;

const Bytes kFunction = code({0xB9, 0x0F, 0xA2, 0x00, 0x00, 0x0F, 0xA2, 0xC3});

Bytes good_file() { return Elf64Builder(kFunction).whole_function().build(); }

template <class T>
void poke(Bytes& file, std::size_t at, T value) {
    ASSERT_LE(at + sizeof value, file.size());
    std::memcpy(file.data() + at, &value, sizeof value);
}

std::string error_of(const Bytes& file) {
    const auto scan = find_sites(file);
    return scan ? "no error" : scan.error().message();
}

// What must hold whatever the file says.
void expect_sound(const Bytes& file) {
    const auto scan = find_sites(file);
    if (!scan) {
        EXPECT_FALSE(scan.error().message().empty());
        return;
    }
    EXPECT_TRUE(std::is_sorted(scan->sites.begin(), scan->sites.end(),
                               [](const Site& left, const Site& right) { return left.address < right.address; }));
    for (const auto* list : {&scan->sites, &scan->undecided}) {
        for (const Site& site : *list) {
            ASSERT_LT(site.file_offset + 1, file.size());
            EXPECT_EQ(file[site.file_offset], std::byte{0x0F});
            EXPECT_EQ(file[site.file_offset + 1], std::byte{0xA2});
        }
    }
    for (const Site& site : scan->sites) {
        EXPECT_EQ(std::count(scan->sites.begin(), scan->sites.end(), site), 1);
        EXPECT_EQ(std::count(scan->undecided.begin(), scan->undecided.end(), site), 0);
    }
}

TEST(SiteFinderHostile, TheUndamagedFileHasOneSite) {
    const auto scan = find_sites(good_file());
    ASSERT_TRUE(scan);
    ASSERT_EQ(scan->sites.size(), 1U);
    EXPECT_EQ(scan->sites[0].address, Elf64Builder::kText + 5);
}

TEST(SiteFinderHostile, ErrorsNameThePlace) {
    EXPECT_THAT(error_of({}), HasSubstr("not an ELF file"));
    EXPECT_THAT(error_of(Bytes(100)), HasSubstr("not an ELF file"));

    Bytes file = good_file();
    poke<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
    EXPECT_THAT(error_of(file), HasSubstr("not x86"));
    file = good_file();
    poke<std::uint8_t>(file, EI_DATA, ELFDATA2MSB);
    EXPECT_THAT(error_of(file), HasSubstr("not little-endian"));
    file = good_file();
    poke<std::uint8_t>(file, EI_CLASS, 7);
    EXPECT_THAT(error_of(file), HasSubstr("class 7"));
    file = good_file();
    poke<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_type), ET_REL);
    EXPECT_THAT(error_of(file), HasSubstr("neither an executable nor a shared object"));
    file = good_file();
    poke<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_phentsize), 7);
    EXPECT_THAT(error_of(file), HasSubstr("program headers of 7 bytes"));
    file = good_file();
    poke<std::uint64_t>(file, offsetof(Elf64_Ehdr, e_phoff), ~std::uint64_t{0});
    EXPECT_THAT(error_of(file), HasSubstr("beyond the end of the file"));
    file = good_file();
    poke<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_phnum), 0xFFFF);
    EXPECT_THAT(error_of(file), HasSubstr("program header"));
    file = good_file();
    poke<std::uint64_t>(file, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), ~std::uint64_t{0});
    EXPECT_THAT(error_of(file), HasSubstr("program header 0"));
    file = good_file();
    poke<std::uint64_t>(file, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_vaddr), ~std::uint64_t{0} - 2);
    EXPECT_THAT(error_of(file), HasSubstr("wraps around"));
    // An x86-64 machine in a 32-bit file is x32; an i386 one in a 64-bit file is nothing.
    file = good_file();
    poke<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_machine), EM_386);
    EXPECT_THAT(error_of(file), HasSubstr("not x86"));
}

TEST(SiteFinderHostile, DamagedSectionHeadersOnlyLoseTheirAnchors) {
    for (const std::uint64_t offset : {std::uint64_t{1} << 40U, ~std::uint64_t{0}, ~std::uint64_t{0} - 64}) {
        Bytes file = good_file();
        poke<std::uint64_t>(file, offsetof(Elf64_Ehdr, e_shoff), offset);
        const auto scan = find_sites(file);
        ASSERT_TRUE(scan);
        EXPECT_EQ(scan->sites.size(), 0U);
        EXPECT_EQ(scan->undecided.size(), 2U);
    }
    Bytes file = good_file();
    file.resize(file.size() - 1);  // the last section header is cut
    const auto scan = find_sites(file);
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->sites.size(), 0U);
}

TEST(SiteFinderHostile, EveryTruncation) {
    const Bytes whole = good_file();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        SCOPED_TRACE(size);
        expect_sound(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    }
}

TEST(SiteFinderHostile, RandomDamage) {
    const Bytes small = good_file();
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        Bytes file = small;
        for (unsigned count = 1 + random() % 8; count > 0; --count) {
            file[random() % file.size()] = static_cast<std::byte>(random() % 4 == 0 ? 0xFF : random());
        }
        expect_sound(file);
        if (HasFailure()) FAIL() << "round " << round;
    }
}

TEST(SiteFinderHostile, ManyOverlappingFunctionsCostNoMoreThanTheBudget) {
    // 4,000 nested functions over 200,000 bytes: 800 million instructions without a bound.
    Bytes text(200'000, std::byte{0x90});
    text[199'990] = std::byte{0x0F};
    text[199'991] = std::byte{0xA2};
    Elf64Builder builder(text);
    for (std::uint64_t index = 0; index < 4000; ++index) builder.function(index, text.size());
    const auto begin = std::chrono::steady_clock::now();
    const auto scan = find_sites(builder.build());
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->sites.size() + scan->undecided.size(), 1U);
    EXPECT_LT(took, std::chrono::seconds(20));
}

}  // namespace
}  // namespace cpulevel::cpuid
