// A plan made for code and carried out: on invented text, and in this very process, with nobody attached.
#include "cpuid/installer.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "cpuid/site_finder.h"
#include "stub_pieces.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::cpuid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kText = 0x7f00'0040'0000, kArea = 0x7f00'0000'0000;

// A file of NOPs with CPUIDs, mapped at kText from its beginning.
struct Invented {
    explicit Invented(std::initializer_list<std::uint64_t> movable, std::initializer_list<std::uint64_t> others = {}) {
        for (const std::uint64_t at : movable) {
            SitePatch patch = Piece{.code = bytes({0x0f, 0xa2, 0x90, 0x90, 0x90})}.placed(0, 0);
            patch.file_offset = at;
            scan.patches.push_back(patch);
            scan.sites.push_back({at, at});
        }
        for (const std::uint64_t at : others) scan.sites.push_back({at, at});
        std::ranges::sort(scan.sites);
        for (const Site& site : scan.sites) std::ranges::copy(bytes({0x0f, 0xa2}), memory.begin() + static_cast<std::ptrdiff_t>(site.file_offset));
        mappings = {{kText, kText + memory.size(), 0}};
        module.scan = &scan;
        module.mappings = mappings;
    }
    void give_area() {
        module.area = kArea;
        module.area_size = stub_area_size(table, scan.patches.size());
    }
    [[nodiscard]] ModulePlan plan(bool traps, std::span<const StubRoom> rooms = {}) const {
        std::vector<Text> text;
        for (const TextRange& range : text_to_read(find_spots(module))) {
            const std::uint64_t end = std::min(range.end, kText + memory.size());
            text.push_back({range.start, {memory.begin() + static_cast<std::ptrdiff_t>(range.start - kText),
                                          memory.begin() + static_cast<std::ptrdiff_t>(end - kText)}});
        }
        return plan_module(module, find_spots(module), {table, traps}, rooms, text);
    }
    Bytes table = table_of("amd", amd_host(), "").bytes;
    Bytes memory = Bytes(64 * kPage, std::byte{0x90});
    SiteScan scan;
    std::vector<CodeMapping> mappings;
    ModuleCode module;
};

// Notes what it is told.
class Noting : public Installer {
   public:
    bool map(std::uint64_t at, std::size_t size) override {
        mapped.emplace_back(at, size);
        return can_map;
    }
    bool write_stubs(std::uint64_t at, std::vector<std::byte> bytes) override {
        stubs[at] = std::move(bytes);
        return true;
    }
    bool write_text(std::uint64_t at, std::span<const std::byte> bytes) override {
        if (at == refused) return false;
        text[at].assign(bytes.begin(), bytes.end());
        return true;
    }
    bool can_map = true;
    std::uint64_t refused = 0;
    std::vector<std::pair<std::uint64_t, std::size_t>> mapped;
    std::map<std::uint64_t, Bytes> stubs, text;
};

TEST(ModulePlan, AMovableSiteIsAJumpAndAnotherATrap) {
    Invented invented({100}, {300});
    invented.give_area();
    Noting noting;
    const Installed done = install(invented.plan(true), noting);
    EXPECT_EQ(done.in_memory, 1U);
    EXPECT_EQ(done.planted, 1U);
    EXPECT_THAT(noting.mapped, ElementsAre(std::pair(kArea, invented.module.area_size)));
    ASSERT_THAT(noting.stubs, SizeIs(1));
    ASSERT_THAT(noting.text, SizeIs(1)) << "one page, so one write";
    const Bytes& written = noting.text.begin()->second;
    EXPECT_EQ(noting.text.begin()->first, kText + 100);
    EXPECT_EQ(written.front(), std::byte{0xe9});
    EXPECT_EQ(written.back(), std::byte{0xf4});
    EXPECT_EQ(written.size(), 201U);
    EXPECT_EQ(written[5], std::byte{0x90}) << "between them nothing changes";
    ASSERT_THAT(done.jumps, SizeIs(1));
    EXPECT_EQ(done.jumps[0].address, kText + 100);
    EXPECT_GE(done.jumps[0].stub, kArea);
    EXPECT_LT(done.jumps[0].stub, kArea + invented.module.area_size);
    EXPECT_THAT(done.traps, ElementsAre(PlantedTrap{kText + 300, PlantedTrap::Kind::cpuid}));
}

TEST(ModulePlan, WithoutTrapsOnlyJumpsAreWritten) {
    Invented invented({100}, {300});
    invented.give_area();
    Noting noting;
    EXPECT_EQ(install(invented.plan(false), noting).planted, 0U);
    ASSERT_THAT(noting.text, SizeIs(1));
    EXPECT_EQ(noting.text.begin()->second.size(), 5U);
}

// As a breakpoint, a uprobe, or the program itself has changed it.
TEST(ModulePlan, WhatMemoryDoesNotHoldIsLeftAlone) {
    Invented invented({100, 200}, {300});
    invented.give_area();
    invented.memory[100] = std::byte{0xcc};
    invented.memory[203] = std::byte{0xcc};  // among what would move
    invented.memory[300] = std::byte{0xcc};
    Noting noting;
    const ModulePlan plan = invented.plan(true);
    EXPECT_EQ(plan.undecided, 3U);
    EXPECT_THAT(plan.edits, IsEmpty());
}

TEST(ModulePlan, PagesBetweenAreNotTouched) {
    Invented invented({100, 3 * kPage}, {});
    invented.give_area();
    Noting noting;
    EXPECT_EQ(install(invented.plan(false), noting).in_memory, 2U);
    EXPECT_THAT(noting.text, SizeIs(2));
}

TEST(ModulePlan, WhatCannotBeWrittenIsCountedAndTheRestIsDone) {
    Invented invented({100, 3 * kPage}, {});
    invented.give_area();
    Noting noting;
    noting.refused = kText + 100;
    const Installed done = install(invented.plan(false), noting);
    EXPECT_EQ(done.unwritten, 1U);
    EXPECT_EQ(done.in_memory, 1U);
    EXPECT_THAT(done.jumps, SizeIs(1));
}

TEST(ModulePlan, WithoutItsPagesNoTextIsChanged) {
    Invented invented({100}, {300});
    invented.give_area();
    Noting noting;
    noting.can_map = false;
    const Installed done = install(invented.plan(true), noting);
    EXPECT_EQ(done.lost, kArea);
    EXPECT_THAT(noting.text, IsEmpty());
}

TEST(ModulePlan, AFurtherModuleUsesTheRoomThatIsLeft) {
    Invented first({100}), second({500});
    first.give_area();
    first.module.area_size += kPage;
    const ModulePlan before = first.plan(false);
    ASSERT_THAT(before.rooms, SizeIs(1));
    Noting noting;
    ModulePlan plan = second.plan(false, before.rooms);
    ASSERT_THAT(plan.rooms, SizeIs(1));
    EXPECT_GT(plan.rooms[0].next, before.rooms[0].next);
    EXPECT_EQ(install(std::move(plan), noting).in_memory, 1U);
    EXPECT_THAT(noting.mapped, IsEmpty()) << "the pages are there";
    EXPECT_EQ(noting.stubs.begin()->first, before.rooms[0].next);
}

TEST(ModulePlan, WithoutRoomNothingOrATrapIsLeft) {
    const Invented invented({100});
    EXPECT_THAT(invented.plan(false).edits, IsEmpty());
    const ModulePlan traps = invented.plan(true);
    ASSERT_THAT(traps.edits, SizeIs(1));
    EXPECT_EQ(traps.edits[0].bytes, bytes({0xf4}));
}

// ---- in this process ----

class InThisProcess : public Installer {
   public:
    bool map(std::uint64_t at, std::size_t size) override {
        void* const wanted = reinterpret_cast<void*>(at);
        return ::mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == wanted;
    }
    bool write_stubs(std::uint64_t at, std::vector<std::byte> bytes) override { return write_text(at, bytes); }
    bool write_text(std::uint64_t at, std::span<const std::byte> bytes) override {
        const std::uint64_t start = at & ~(kPage - 1);
        const std::size_t size = at + bytes.size() - start;
        if (::mprotect(reinterpret_cast<void*>(start), size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return false;
        std::memcpy(reinterpret_cast<void*>(at), bytes.data(), bytes.size());
        return ::mprotect(reinterpret_cast<void*>(start), size, PROT_READ | PROT_EXEC) == 0;
    }
};

[[gnu::noinline]] arch::CpuidRegisters ask(std::uint32_t leaf, std::uint32_t subleaf) {
    arch::CpuidRegisters got;
    __cpuid_count(leaf, subleaf, got.eax, got.ebx, got.ecx, got.edx);
    return got;
}

// The executable of this test, as the process has it.
struct OwnCode {
    OwnCode() {
        const std::string path = std::filesystem::read_symlink("/proc/self/exe");
        const auto file = read_file(path, 1U << 30U);  // a sanitizer makes it large
        const auto maps = read_file("/proc/self/maps");
        if (!file || !maps) return;
        auto found = find_sites(std::as_bytes(std::span(*file)));
        if (!found) return;
        scan = std::move(*found);
        for (const std::string_view line : split(*maps, '\n')) {
            if (!line.ends_with(path)) continue;
            const auto dash = line.find('-'), blank = line.find(' ');
            const std::uint64_t start = *parse_hex(line.substr(0, dash)), end = *parse_hex(line.substr(dash + 1, blank - dash - 1));
            if (lowest == 0) lowest = start;
            if (line[blank + 3] != 'x') continue;
            mappings.push_back({start, end, *parse_hex(line.substr(blank + 6, 8))});
        }
    }
    SiteScan scan;
    std::vector<CodeMapping> mappings;
    std::uint64_t lowest = 0;
};

TEST(Installer, AProgramIsLevelledByItself) {
    const OwnCode own;
    ASSERT_THAT(own.mappings, SizeIs(1));
    ASSERT_FALSE(own.scan.patches.empty());
    const Bytes table = table_of("amd", amd_host(), "x86-64-v2").bytes;
    ModuleCode module;
    module.scan = &own.scan;
    module.mappings = own.mappings;
    module.area_size = stub_area_size(table, own.scan.patches.size());
    module.area = (own.lowest - module.area_size) & ~(kPage - 1);
    std::vector<Text> text;
    const std::vector<Spot> spots = find_spots(module);
    for (const TextRange& range : text_to_read(spots)) {
        Text& each = text.emplace_back(range.start, Bytes(range.end - range.start));
        std::memcpy(each.bytes.data(), reinterpret_cast<const void*>(range.start), each.bytes.size());
    }
    ModulePlan plan = plan_module(module, spots, {table, false}, {}, text);

    const arch::CpuidRegisters real = ask(7, 0), vendor = ask(0, 0);
    InThisProcess installer;
    const Installed done = install(std::move(plan), installer);
    ASSERT_FALSE(done.lost);
    ASSERT_GT(done.in_memory, 0U);
    const arch::CpuidRegisters levelled = ask(7, 0), named = ask(0, 0);
    ASSERT_TRUE(uninstall(done.jumps, done.traps, installer));
    const arch::CpuidRegisters after = ask(7, 0);

    const FlatTable flat = *FlatTable::view(table);
    const auto expected = flat.lookup(7, 0, [](auto, auto) { return arch::CpuidRegisters{}; });
    EXPECT_EQ(levelled, expected);
    EXPECT_NE(levelled, real) << "of the level, not of the machine";
    EXPECT_EQ(named, flat.lookup(0, 0, [](auto, auto) { return arch::CpuidRegisters{}; }));
    EXPECT_EQ(after, real);
    EXPECT_EQ(ask(0, 0), vendor);
}

}  // namespace
}  // namespace cpulevel::cpuid

#endif
