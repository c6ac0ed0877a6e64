// Records of what was found out about a file: whole, or none.
#include "cpuid/site_record.h"

#if defined(__x86_64__)

#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "elf_builder.h"

namespace cpulevel::cpuid {
namespace {

Bytes bytes_of(std::initializer_list<int> values) {
    Bytes result;
    for (const int value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

// Two functions' worth of sites: one moves what stands behind it, with an operand, one what stands before it.
SiteScan example() {
    const Bytes text = bytes_of({0x90, 0x0f, 0xa2, 0x8b, 0x05, 0x10, 0, 0, 0,  // nop; cpuid; mov eax, [rip + 16]
                                 0xb8, 0x07, 0, 0, 0, 0x0f, 0xa2, 0xc3});      // mov eax, 7; cpuid; ret
    auto scan = find_sites(Elf64Builder(text).whole_function().build());
    if (!scan) throw std::runtime_error(scan.error().message());
    scan->unpatched.clear();
    scan->layout.interpreter = "/lib64/ld-linux-x86-64.so.2";
    return *scan;
}

const FileIdentity kFile{.device = 1, .inode = 2, .size = 100000, .seconds = 4, .nanoseconds = 5};

void set_checksum_right(std::vector<std::byte>& record) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (std::size_t at = 16; at < record.size(); ++at) hash = (hash ^ std::to_integer<std::uint64_t>(record[at])) * 0x100000001b3;
    std::memcpy(record.data() + 8, &hash, sizeof hash);
}

TEST(SiteRecord, ComesBackAsItWas) {
    const SiteScan scan = example();
    ASSERT_EQ(scan.patches.size(), 2U);
    const auto again = read_site_record(kFile, write_site_record(kFile, scan));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(again->sites, scan.sites);
    EXPECT_EQ(again->layout, scan.layout);
    EXPECT_EQ(again->build_id, scan.build_id);
    EXPECT_EQ(write_site_record(kFile, *again), write_site_record(kFile, scan));
}

TEST(SiteRecord, OfAnotherFileIsNone) {
    const auto record = write_site_record(kFile, example());
    for (int field = 0; field < 5; ++field) {
        FileIdentity other = kFile;
        if (field == 0) ++other.device;
        if (field == 1) ++other.inode;
        if (field == 2) ++other.size;
        if (field == 3) ++other.seconds;
        if (field == 4) ++other.nanoseconds;
        EXPECT_FALSE(read_site_record(other, record)) << field;
    }
}

TEST(SiteRecord, DamagedOrCutIsNone) {
    const auto record = write_site_record(kFile, example());
    for (std::size_t at = 0; at < record.size(); ++at) {
        auto damaged = record;
        damaged[at] ^= std::byte{1};
        EXPECT_FALSE(read_site_record(kFile, damaged)) << at;
        EXPECT_FALSE(read_site_record(kFile, std::span(record).first(at))) << at;
    }
    auto longer = record;
    longer.push_back(std::byte{0});
    set_checksum_right(longer);
    EXPECT_FALSE(read_site_record(kFile, longer));
}

// With a right checksum as well: what cannot be is refused, and nothing is read that is not there.
TEST(SiteRecord, HostileIsNoneOrConsistent) {
    const auto record = write_site_record(kFile, example());
    std::mt19937_64 random(1);
    for (int round = 0; round < 20000; ++round) {
        auto hostile = record;
        for (int change = 0; change < 3; ++change) hostile[16 + random() % (hostile.size() - 16)] = static_cast<std::byte>(random());
        if (round % 2 == 0) hostile.resize(16 + random() % (hostile.size() - 16));
        set_checksum_right(hostile);
        const auto scan = read_site_record(kFile, hostile);
        if (!scan) continue;
        for (const SitePatch& patch : scan->patches) {
            EXPECT_EQ(patch.original[patch.site], std::byte{0x0f});
            EXPECT_EQ(patch.original[patch.site + std::size_t{1}], std::byte{0xa2});
        }
    }
}

TEST(SiteRecord, PatchesThatNoFinderMakesAreRefused) {
    const auto refused = [&](auto&& change) {
        SiteScan scan = example();
        change(scan);
        return !read_site_record(kFile, write_site_record(kFile, scan));
    };
    EXPECT_FALSE(refused([](SiteScan&) {}));
    EXPECT_TRUE(refused([](SiteScan& s) { s.patches[0].original[2] = std::byte{0xe8}; })) << "a call does not move";
    EXPECT_TRUE(refused([](SiteScan& s) { s.patches[0].length = 6; })) << "half an instruction";
    EXPECT_TRUE(refused([](SiteScan& s) { s.patches[0].operand_count = 0; })) << "an operand that nobody would adjust";
    EXPECT_TRUE(refused([](SiteScan& s) { s.patches[0].operands[0].displacement = 2; }));
    EXPECT_TRUE(refused([](SiteScan& s) { s.patches[1].file_offset -= 1; })) << "of no site";
    EXPECT_TRUE(refused([](SiteScan& s) { s.patches.push_back(s.patches[0]); })) << "twice";
    EXPECT_TRUE(refused([](SiteScan& s) { std::swap(s.patches[0], s.patches[1]); }));
    EXPECT_TRUE(refused([](SiteScan& s) { s.map_call_patches = s.patches; })) << "CPUID is no system call";
}

}  // namespace
}  // namespace cpulevel::cpuid

#endif
