// Stub areas are executed: a piece of code around a CPUID, patched as a plan says, against its twin in which the CPUID
// is two bytes of NOP and the registers hold FlatTable::lookup()'s answer beforehand. Everything that the two leave
// must be the same: registers, flags, red zone, vector registers and memory.
#include "cpuid/stub_area.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "arch/x86_64.h"
#include "cpuid/flat_table.h"
#include "cpuid/live_rows.h"
#include "profile/native.h"
#include "stub_machine.h"
#include "stub_pieces.h"

namespace cpulevel::cpuid {
namespace {

using arch::CpuidRegisters;
using Random = std::mt19937_64;

CpuidRegisters real_cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
    CpuidRegisters result;
    __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
    return result;
}

// An instruction to be moved. Where `operand` is not 0, a displacement to a place in the data page stands there.
struct Movable {
    Bytes code;
    std::uint8_t operand = 0;
};

const std::vector<Movable>& movables() {
    static const std::vector<Movable> all{
        {bytes({0x90}), 0},                                            // nop
        {bytes({0x50, 0x5e}), 0},                                      // push rax; pop rsi
        {bytes({0x41, 0x54, 0x41, 0x5f}), 0},                          // push r12; pop r15
        {bytes({0x9c, 0x5f}), 0},                                      // pushfq; pop rdi
        {bytes({0x49, 0x89, 0xca}), 0},                                // mov r10, rcx
        {bytes({0x01, 0xd3}), 0},                                      // add ebx, edx
        {bytes({0x48, 0x11, 0xc2}), 0},                                // adc rdx, rax
        {bytes({0x0f, 0x92, 0xc1}), 0},                                // setc cl
        {bytes({0x48, 0x8b, 0x6c, 0x24, 0xb8}), 0},                    // mov rbp, [rsp - 72]
        {bytes({0x48, 0x89, 0x44, 0x24, 0xf8}), 0},                    // mov [rsp - 8], rax
        {bytes({0x89, 0x05, 0, 0, 0, 0}), 2},                          // mov [rip + d], eax
        {bytes({0x48, 0x89, 0x1d, 0, 0, 0, 0}), 3},                    // mov [rip + d], rbx
        {bytes({0x4c, 0x8b, 0x1d, 0, 0, 0, 0}), 3},                    // mov r11, [rip + d]
        {bytes({0x4c, 0x8d, 0x0d, 0, 0, 0, 0}), 3},                    // lea r9, [rip + d]
        {bytes({0x83, 0x3d, 0, 0, 0, 0, 0x07}), 2},                    // cmp dword [rip + d], 7
        {bytes({0xc7, 0x05, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44}), 2},  // mov dword [rip + d], 0x44332211
        {bytes({0x0f, 0x10, 0x1d, 0, 0, 0, 0}), 3},                    // movups xmm3, [rip + d]
        {bytes({0x0f, 0x11, 0x2d, 0, 0, 0, 0}), 3},                    // movups [rip + d], xmm5
    };
    return all;
}

Piece random_piece(Random& random) {
    Piece piece;
    const std::size_t least = SitePatch::kJumpLength + random() % 8;
    while (piece.code.size() < least) {
        const Movable& next = movables()[random() % movables().size()];
        if (piece.code.size() + next.code.size() > SitePatch::kMostLength) continue;
        const std::size_t at = piece.code.size();
        piece.code.insert(piece.code.end(), next.code.begin(), next.code.end());
        if (next.operand != 0) {
            piece.operands.push_back({static_cast<std::uint8_t>(at + next.operand),
                                      static_cast<std::uint8_t>(piece.code.size()),
                                      static_cast<std::uint32_t>(random() % 8 * 16)});
        }
    }
    return piece;
}

// Ends code that starts at a multiple of 8: jmp [rip + d], and the target, aligned.
void append_leave(Bytes& code) {
    const std::size_t end = code.size() + 6, at = (end + 7) / 8 * 8;
    code.insert(code.end(), {std::byte{0xff}, std::byte{0x25}, static_cast<std::byte>(at - end)});
    code.resize(at + 8);
    const std::uint64_t target = leave_target();
    std::memcpy(&code[at], &target, sizeof target);
}

Bytes bytes_of(FlatHeader header, std::span<const FlatEntry> entries) {
    header.entry_count = static_cast<std::uint32_t>(entries.size());
    header.size = static_cast<std::uint32_t>(sizeof header + entries.size_bytes());
    Bytes result(header.size);
    std::memcpy(result.data(), &header, sizeof header);
    if (!entries.empty()) std::memcpy(&result[sizeof header], entries.data(), entries.size_bytes());
    return result;
}

CpuidRegisters random_registers(Random& random) {
    const auto word = [&] { return static_cast<std::uint32_t>(random()); };
    return {word(), word(), word(), word()};
}

CpuidRegisters without(CpuidRegisters all, const CpuidRegisters& bits) {
    return {all.eax & ~bits.eax, all.ebx & ~bits.ebx, all.ecx & ~bits.ecx, all.edx & ~bits.edx};
}

// Tables as no CPU has them: with entries out of the ranges, gaps, ranges that are empty or all that there is.
NamedTable random_table(Random& random) {
    FlatHeader header;
    header.above_maximum = static_cast<std::uint32_t>(random() % 2);
    for (auto& range : header.ranges) {
        const auto base = static_cast<std::uint32_t>(random() % 4 * 0x40000000);
        range = {base + static_cast<std::uint32_t>(random() % 4), base + static_cast<std::uint32_t>(random() % 40)};
        if (random() % 16 == 0) range = {0, ~0U};
    }
    std::vector<FlatEntry> entries(random() % 80);
    for (FlatEntry& entry : entries) {
        entry.leaf = static_cast<std::uint32_t>(random() % 4 * 0x40000000 + random() % 40);
        entry.match = static_cast<std::uint32_t>(random() % 2);
        if (entry.match == FlatEntry::kThisSubleaf) entry.subleaf = static_cast<std::uint32_t>(random() % 4);
        entry.flags = static_cast<std::uint32_t>(random() % 2);
        if (random() % 16 == 0) entry.live = random_registers(random);
        if (random() % 8 == 0) {  // one register alone
            const std::array<std::uint32_t CpuidRegisters::*, 4> each{&CpuidRegisters::eax, &CpuidRegisters::ebx,
                                                                      &CpuidRegisters::ecx, &CpuidRegisters::edx};
            entry.live = {};
            entry.live.*each[random() % each.size()] = ~0U;
        }
        entry.fixed = without(random_registers(random), entry.live);
    }
    std::ranges::sort(entries, {}, [](const FlatEntry& e) { return std::tuple(e.leaf, e.match, e.subleaf); });
    return {"random", bytes_of(header, entries)};
}

struct Question {
    std::uint32_t leaf, subleaf;
};

// Mostly near what is there, else anything.
Question random_question(const FlatTable& table, Random& random) {
    const auto word = [&] { return static_cast<std::uint32_t>(random()); };
    std::uint32_t leaf = 0;
    switch (random() % 4) {
        case 0: leaf = word(); break;
        case 1: leaf = word() % 4 * 0x40000000 + word() % 48; break;
        case 2: leaf = table.header().ranges[word() % 4].last + word() % 3 - 1; break;
        default:
            if (table.header().entry_count > 0) leaf = table.entry(word() % table.header().entry_count).leaf;
    }
    return {leaf, random() % 4 == 0 ? word() : word() % 5};
}

constexpr std::uint64_t kArithmetic = 0x8d5, kDirection = 0x400, kAlignmentCheck = 0x40000, kId = 0x200000;
constexpr std::uint64_t kAlwaysSet = 0x202;  // bit 1, and interrupts

MachineState random_state(Random& random, std::uint64_t flags) {
    MachineState state;
    for (auto& value : state.registers) value = random();
    for (auto& value : state.red_zone) value = random();
    for (auto& value : state.xmm) value = {random(), random()};
    state.flags = (random() & flags) | kAlwaysSet;
    return state;
}

class StubArea : public testing::Test {
   protected:
    // The area at one end of the arena and the code at the other.
    explicit StubArea(std::uint64_t distance = 16 * kPage, bool area_first = true)
        : arena_(distance + 16 * kPage),
          area_(arena_.address() + (area_first ? 0 : distance)),
          code_(arena_.address() + (area_first ? distance : 0)),
          twin_(code_ + kPage),
          data_(code_ + 2 * kPage) {
        arena_.use(area_, 8 * kPage);
        arena_.use(code_, 3 * kPage);
    }

    void SetUp() override {  // live fields may be those of a CPU
        cpu_set_t set;
        CPU_ZERO(&set);
        ASSERT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
        CPU_SET(static_cast<unsigned>(sched_getcpu()), &set);
        ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    }
    void TearDown() override { sched_setaffinity(0, sizeof before_, &before_); }

    // Writes the code, its twin, the area and the jump.
    void install(std::span<const std::byte> table, const Piece& piece) const {
        const SitePatch patch = piece.placed(code_, data_);
        Bytes code(patch.original.begin(), patch.original.begin() + patch.length);
        append_leave(code);
        Arena::write(code_, code);

        const SitePatch twin = piece.placed(twin_, data_);
        code.assign(twin.original.begin(), twin.original.begin() + twin.length);
        code[0] = std::byte{0x66};  // nop of two bytes
        code[1] = std::byte{0x90};
        append_leave(code);
        Arena::write(twin_, code);

        const PlacedPatch site{.patch = &patch, .address = code_};
        const std::size_t size = stub_area_size(table, 1, live_.size());
        const StubPlan plan = plan_stub_area(table, area_, size, std::span(&site, 1), {}, live_);
        ASSERT_TRUE(plan.left_out.empty());
        ASSERT_EQ(plan.jumps.size(), 1U);
        ASSERT_EQ(plan.jumps[0].address, code_);
        ASSERT_LE(plan.bytes.size(), size);
        Arena::write(area_, plan.bytes);
        Arena::write(code_, plan.jumps[0].bytes);
    }

    [[nodiscard]] MachineState run(std::uint64_t code, const MachineState& before, Bytes& data) const {
        auto* memory = reinterpret_cast<std::byte*>(data_);
        for (std::size_t i = 0; i < 256; ++i) memory[i] = static_cast<std::byte>(i * 7);
        const MachineState after = run_code(code, before);
        data.assign(memory, memory + 256);
        return after;
    }

    // Patched and twin, from the same random state.
    void compare(const FlatTable& table, Question question, Random& random, std::uint64_t flags) const {
        using S = MachineState;
        constexpr std::uint64_t kUpper = ~std::uint64_t{0xffffffff};
        S before = random_state(random, flags);
        before.registers[S::rax] = (before.registers[S::rax] & kUpper) | question.leaf;
        before.registers[S::rcx] = (before.registers[S::rcx] & kUpper) | question.subleaf;
        S answered = before;
        const auto real = [&](std::uint32_t leaf, std::uint32_t subleaf) {
            const auto known = known_.find({sched_getcpu(), {leaf, arch::x86_leaf_has_subleaves(leaf) ? subleaf : 0}});
            return known == known_.end() ? real_cpuid(leaf, subleaf) : known->second;
        };
        const CpuidRegisters answer = table.lookup(question.leaf, question.subleaf, real);
        answered.registers[S::rax] = answer.eax;
        answered.registers[S::rbx] = answer.ebx;
        answered.registers[S::rcx] = answer.ecx;
        answered.registers[S::rdx] = answer.edx;

        Bytes data_patched, data_twin;
        const S patched = run(code_, before, data_patched);
        const S twin = run(twin_, answered, data_twin);
        for (std::size_t i = 0; i < 16; ++i) ASSERT_EQ(patched.registers[i], twin.registers[i]) << "register " << i;
        ASSERT_EQ(patched.flags, twin.flags);
        ASSERT_EQ(patched.red_zone, twin.red_zone);
        ASSERT_EQ(patched.xmm, twin.xmm);
        ASSERT_EQ(data_patched, data_twin);
    }

    void check(const NamedTable& table, std::size_t pieces, std::size_t questions) const {
        Random random(20240607);
        const auto view = FlatTable::view(table.bytes);
        ASSERT_TRUE(view);
        for (std::size_t i = 0; i < pieces; ++i) {
            const Piece piece = random_piece(random);
            ASSERT_NO_FATAL_FAILURE(install(table.bytes, piece));
            for (std::size_t j = 0; j < questions; ++j) {
                const Question question = random_question(*view, random);
                SCOPED_TRACE(testing::Message() << table.name << ", piece " << i << ", leaf 0x" << std::hex
                                                << question.leaf << ", subleaf 0x" << question.subleaf);
                ASSERT_NO_FATAL_FAILURE(compare(*view, question, random, kArithmetic | kDirection | kId));
            }
        }
    }

    Arena arena_;
    std::uint64_t area_, code_, twin_, data_;
    LiveAnswers known_;  // what CPUs are said to have answered
    Bytes live_;         // live_rows() of it
    cpu_set_t before_{};
};

TEST_F(StubArea, AnswersAsTheTableOfAnIntelNode) { check(table_of("intel", intel_host(), ""), 40, 200); }
TEST_F(StubArea, AnswersAsTheTableOfAnAmdNode) { check(table_of("amd", amd_host(), ""), 40, 200); }
TEST_F(StubArea, AnswersAsTheTableOfANamedLevel) { check(table_of("v2", intel_host(), "x86-64-v2"), 40, 200); }

TEST_F(StubArea, AnswersAsAnyTable) {
    Random random(7);
    for (int i = 0; i < 200; ++i) ASSERT_NO_FATAL_FAILURE(check(random_table(random), 2, 50));
}

// LIVE fields: what this CPU is said to have answered goes before what it answers, and only for this CPU.
TEST_F(StubArea, AnswersWhatIsKnownOfItsCpu) {
    if (profile::native::cpu_by_segment() != static_cast<std::uint32_t>(sched_getcpu())) {
        GTEST_SKIP() << "segment 0x7b does not have this CPU's number here";
    }
    Random random(11);
    for (const NamedTable& table : {table_of("intel", intel_host(), ""), table_of("amd", amd_host(), "")}) {
        const auto view = FlatTable::view(table.bytes);
        std::size_t rows = 0;
        for (int round = 0; round < 6; ++round) {
            known_.clear();
            for (std::uint32_t i = 0; i < view->header().entry_count; ++i) {
                const FlatEntry entry = view->entry(i);
                for (int cpu = 0; cpu <= sched_getcpu() + round % 2; ++cpu) {
                    if (random() % 3 != 0) known_[{cpu, {entry.leaf, entry.subleaf}}] = random_registers(random);
                }
            }
            // The entry for all subleaves that are not listed has no row: what is asked there is executed.
            std::erase_if(known_, [&](const auto& each) {
                for (std::uint32_t i = 0; i < view->header().entry_count; ++i) {
                    const FlatEntry entry = view->entry(i);
                    if (entry.leaf != each.first.second.leaf) continue;
                    if (entry.match == FlatEntry::kThisSubleaf && entry.subleaf == each.first.second.subleaf) return false;
                    if (entry.match == FlatEntry::kAnySubleaf) return arch::x86_leaf_has_subleaves(entry.leaf);
                }
                return true;
            });
            live_ = live_rows(table.bytes, known_);
            rows += live_.size();
            ASSERT_NO_FATAL_FAILURE(check(table, 4, 200));
        }
        EXPECT_GT(rows, 0U);
    }
}

TEST_F(StubArea, AnswersFromATableWithoutEntries) {
    FlatHeader header;
    header.ranges[0] = {0, 5};
    check({"zeros", bytes_of(header, {})}, 5, 50);
    header.above_maximum = FlatHeader::kRepeatHighest;
    check({"repeats", bytes_of(header, {})}, 5, 50);
}

// What follows the table, read as an entry, must not answer.
TEST_F(StubArea, StopsAtTheEndOfTheTable) {
    FlatHeader header;
    header.ranges[0] = {0, ~0U};
    FlatEntry only;
    only.leaf = 1;
    only.match = FlatEntry::kAnySubleaf;
    const Bytes table = bytes_of(header, std::span(&only, 1));
    ASSERT_NO_FATAL_FAILURE(install(table, Piece{.code = bytes({0x0f, 0xa2, 0x90, 0x90, 0x90})}));
    FlatEntry behind;
    std::memcpy(&behind, reinterpret_cast<const void*>(area_ + table.size()), sizeof behind);
    ASSERT_GT(behind.leaf, 1U);
    Random random(13);
    ASSERT_NO_FATAL_FAILURE(compare(*FlatTable::view(table), {behind.leaf, behind.subleaf}, random, kArithmetic));
}

TEST_F(StubArea, WorksWithAlignmentChecksOn) {
    const NamedTable table = table_of("intel", intel_host(), "");
    const auto view = FlatTable::view(table.bytes);
    Random random(3);
    const Piece piece{.code = bytes({0x0f, 0xa2, 0x49, 0x89, 0xca})};
    ASSERT_NO_FATAL_FAILURE(install(table.bytes, piece));
    for (int i = 0; i < 500; ++i) {
        ASSERT_NO_FATAL_FAILURE(compare(*view, random_question(*view, random), random, kArithmetic | kAlignmentCheck));
    }
}

// Places where displacements need nearly all of their 32 bits.
class FarAbove : public StubArea {
   protected:
    FarAbove() : StubArea(2 * kGiB - 16 * kPage, true) {}
};
class FarBelow : public StubArea {
   protected:
    FarBelow() : StubArea(2 * kGiB - 16 * kPage, false) {}
};
TEST_F(FarAbove, Answers) { check(table_of("intel", intel_host(), ""), 20, 20); }
TEST_F(FarBelow, Answers) { check(table_of("amd", amd_host(), ""), 20, 20); }

// Many sites in one area: each goes to its own stub and comes back to its own code.
TEST_F(StubArea, ServesManySites) {
    constexpr std::size_t kSites = 100, kStride = 40;
    const NamedTable table = table_of("amd", amd_host(), "");
    const auto view = FlatTable::view(table.bytes);
    std::vector<SitePatch> patches;
    for (std::size_t i = 0; i < kSites; ++i) {
        Piece piece{.code = bytes({0x0f, 0xa2, 0x41, 0xb8, static_cast<int>(i), 0, 0, 0})};  // mov r8d, i
        patches.push_back(piece.placed(code_ + i * kStride, data_));
    }
    std::vector<PlacedPatch> sites;
    for (std::size_t i = 0; i < kSites; ++i) {
        sites.push_back({&patches[i], code_ + i * kStride});
        Bytes code(patches[i].original.begin(), patches[i].original.begin() + patches[i].length);
        append_leave(code);
        Arena::write(sites[i].address, code);
    }
    const StubPlan plan = plan_stub_area(table.bytes, area_, stub_area_size(table.bytes, kSites), sites);
    ASSERT_EQ(plan.jumps.size(), kSites);
    ASSERT_LE(plan.bytes.size(), stub_area_size(table.bytes, kSites));
    ASSERT_EQ(stub_area_size(table.bytes, kSites) % kPage, 0U);
    Arena::write(area_, plan.bytes);
    for (const TextWrite& jump : plan.jumps) Arena::write(jump.address, jump.bytes);
    Random random(5);
    for (std::size_t i = 0; i < kSites; ++i) {
        MachineState state = random_state(random, kArithmetic);
        state.registers[MachineState::rax] = 0x80000002;
        const MachineState after = run_code(code_ + i * kStride, state);
        EXPECT_EQ(after.registers[MachineState::r8], i);
        EXPECT_EQ(after.registers[MachineState::rbx], view->lookup(0x80000002, 0, real_cpuid).ebx);
    }
}

// What stands before the site moves where what stands behind cannot: `mov eax, leaf; cpuid`, and an operand of the
// lead.
TEST_F(StubArea, RunsWhatLeadsToTheSiteFirst) {
    const NamedTable table = table_of("intel", intel_host(), "");
    const auto view = FlatTable::view(table.bytes);
    SitePatch patch;
    const Bytes code =
        bytes({0x44, 0x8b, 0x05, 0, 0, 0, 0, 0xb8, 0x07, 0, 0, 0, 0x0f, 0xa2});  // mov r8d, [rip + d]; mov eax, 7
    std::ranges::copy(code, patch.original.begin());
    patch.length = static_cast<std::uint8_t>(code.size());
    patch.site = 12;
    patch.operand_count = 1;
    patch.operands[0] = {.displacement = 3, .instruction_end = 7};
    const auto distance = static_cast<std::int32_t>(static_cast<std::int64_t>(data_ - (code_ + 7)));
    std::memcpy(&patch.original[3], &distance, sizeof distance);
    Bytes whole(patch.original.begin(), patch.original.begin() + patch.length);
    append_leave(whole);
    Arena::write(code_, whole);
    const std::uint32_t marker = 0x12345678;
    std::memcpy(reinterpret_cast<void*>(data_), &marker, sizeof marker);

    const PlacedPatch site{.patch = &patch, .address = code_};
    const StubPlan plan = plan_stub_area(table.bytes, area_, stub_area_size(table.bytes, 1), std::span(&site, 1));
    ASSERT_EQ(plan.jumps.size(), 1U);
    Arena::write(area_, plan.bytes);
    Arena::write(code_, plan.jumps[0].bytes);
    Random random(7);
    MachineState state = random_state(random, kArithmetic);
    state.registers[MachineState::rcx] = 0;
    const MachineState after = run_code(code_, state);
    const CpuidRegisters expected = view->lookup(7, 0, real_cpuid);
    EXPECT_EQ(after.registers[MachineState::r8], marker);
    EXPECT_EQ(after.registers[MachineState::rax], expected.eax);
    EXPECT_EQ(after.registers[MachineState::rbx], expected.ebx);
    EXPECT_EQ(after.registers[MachineState::rcx], expected.ecx);
    EXPECT_EQ(after.registers[MachineState::rdx], expected.edx);
}

// A loader's system call in a stub: done there; stopped by a HLT behind it only where RDX asks for PROT_EXEC.
volatile std::sig_atomic_t map_stops_seen = 0;
std::uint64_t map_stop_at = 0;

void step_over_halt(int, siginfo_t*, void* context) {
    auto& ip = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
    if (static_cast<std::uint64_t>(ip) != map_stop_at) std::abort();
    map_stops_seen = map_stops_seen + 1;
    ++ip;
}

TEST_F(StubArea, DoesALoadersCallAndStopsForCodeOnly) {
    constexpr std::uint64_t kGetpid = 39;
    const NamedTable table = table_of("amd", amd_host(), "");
    const StubPlan area = plan_stub_area(table.bytes, area_, stub_area_size(table.bytes, 1), {});
    Arena::write(area_, area.bytes);

    SitePatch patch;
    const Bytes code = bytes({0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff});  // syscall; cmp rax, -4095
    std::ranges::copy(code, patch.original.begin());
    patch.length = static_cast<std::uint8_t>(code.size());
    Bytes whole = code;
    append_leave(whole);
    Arena::write(code_, whole);
    const PlacedPatch site{.patch = &patch, .address = code_};
    const StubPlan plan = plan_more_stubs(area.room, std::span(&site, 1));
    ASSERT_EQ(plan.jumps.size(), 1U);
    ASSERT_EQ(plan.map_stops.size(), 1U);
    ASSERT_EQ(plan.at, area.room.next);
    ASSERT_LE(plan.room.next, plan.room.end);
    Arena::write(plan.at, plan.bytes);
    Arena::write(code_, plan.jumps[0].bytes);
    map_stop_at = plan.map_stops[0];
    struct sigaction action{};
    struct sigaction before{};
    action.sa_sigaction = step_over_halt;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, &before);
    Random random(9);
    for (std::uint64_t prot = 0; prot < 64; ++prot) {
        map_stops_seen = 0;
        MachineState state = random_state(random, kArithmetic);
        state.registers[MachineState::rax] = kGetpid;
        state.registers[MachineState::rdx] = (prot << 32U << 2U) | prot;  // what is above bit 31 does not matter
        const MachineState after = run_code(code_, state);
        EXPECT_EQ(after.registers[MachineState::rax], static_cast<std::uint64_t>(::getpid()));
        EXPECT_EQ(map_stops_seen, (prot & 4U) != 0 ? 1 : 0) << prot;
        for (const auto kept : {MachineState::rbx, MachineState::rdx, MachineState::rsi, MachineState::rdi,
                                MachineState::r8, MachineState::r9, MachineState::r10}) {
            EXPECT_EQ(after.registers[kept], state.registers[kept]);
        }
    }
    ::sigaction(SIGSEGV, &before, nullptr);
}

FileIdentity identity_of(int fd) {
    struct stat status{};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size), status.st_mtim.tv_sec,
            status.st_mtim.tv_nsec};
}

// ... and not for a file that is listed, whichever call asks for it, wherever in the list it is.
TEST_F(StubArea, ALoadersCallDoesNotStopForFilesWithoutCpuid) {
    constexpr std::uint64_t kGetpid = 39;
    const NamedTable table = table_of("amd", amd_host(), "");
    const int listed = ::open("/proc/self/exe", O_RDONLY);
    const int other = ::open("/proc/self/maps", O_RDONLY);
    ASSERT_GE(listed, 0);
    ASSERT_GE(other, 0);
    const FileIdentity file = identity_of(listed);
    std::vector<FileIdentity> wrong;  // each differs in one member
    for (int i = 0; i < 5; ++i) wrong.push_back(file);
    ++wrong[0].device;
    ++wrong[1].inode;
    ++wrong[2].size;
    ++wrong[3].seconds;
    ++wrong[4].nanoseconds;
    std::vector<FileIdentity> last = wrong;
    last.push_back(file);
    struct Case {
        std::uint32_t call;
        std::span<const FileIdentity> files;
        int fd;
        int stops;
    };
    const std::vector<Case> cases{
        {KnownFiles::kFstat, last, listed, 0},
        {KnownFiles::kNewfstatat, last, listed, 0},
        {KnownFiles::kFstat, std::span(&file, 1), listed, 0},
        {KnownFiles::kFstat, wrong, listed, 1},
        {KnownFiles::kNewfstatat, wrong, listed, 1},
        {KnownFiles::kFstat, last, other, 1},
        {KnownFiles::kFstat, last, -1, 1},
        {KnownFiles::kNewfstatat, last, -1, 1},
        {KnownFiles::kNoCall, last, listed, 1},
        {KnownFiles::kFstat, {}, listed, 1},
    };
    SitePatch patch;
    const Bytes code = bytes({0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff});  // syscall; cmp rax, -4095
    std::ranges::copy(code, patch.original.begin());
    patch.length = static_cast<std::uint8_t>(code.size());
    Bytes whole = code;
    append_leave(whole);
    const PlacedPatch site{.patch = &patch, .address = code_};
    struct sigaction action{};
    struct sigaction before{};
    action.sa_sigaction = step_over_halt;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, &before);
    Random random(10);
    for (const Case& one : cases) {
        const StubPlan plan = plan_stub_area(table.bytes, area_, stub_area_size(table.bytes, 1), std::span(&site, 1),
                                             {.call = one.call, .files = one.files});
        ASSERT_EQ(plan.map_stops.size(), 1U);
        Arena::write(area_, plan.bytes);
        Arena::write(code_, whole);
        Arena::write(code_, plan.jumps[0].bytes);
        map_stop_at = plan.map_stops[0];
        map_stops_seen = 0;
        MachineState state = random_state(random, kArithmetic);
        state.registers[MachineState::rax] = kGetpid;
        state.registers[MachineState::rdx] = 5;
        state.registers[MachineState::r8] = static_cast<std::uint64_t>(static_cast<std::int64_t>(one.fd));
        const MachineState after = run_code(code_, state);
        EXPECT_EQ(after.registers[MachineState::rax], static_cast<std::uint64_t>(::getpid()));
        EXPECT_EQ(map_stops_seen, one.stops) << one.call << ' ' << one.files.size() << ' ' << one.fd;
        for (const auto kept : {MachineState::rbx, MachineState::rdx, MachineState::rsi, MachineState::rdi,
                                MachineState::r8, MachineState::r9, MachineState::r10}) {
            EXPECT_EQ(after.registers[kept], state.registers[kept]);
        }
    }
    ::sigaction(SIGSEGV, &before, nullptr);
    ::close(listed);
    ::close(other);
}

TEST_F(StubArea, LeavesOutWhatThereIsNoRoomFor) {
    const NamedTable table = table_of("amd", amd_host(), "");
    const StubPlan area = plan_stub_area(table.bytes, area_, stub_area_size(table.bytes, 0), {});
    const SitePatch patch = Piece{.code = bytes({0x0f, 0xa2, 0x90, 0x90, 0x90})}.placed(code_, data_);
    const std::vector<PlacedPatch> sites(1000, PlacedPatch{&patch, code_});
    const StubPlan plan = plan_more_stubs(area.room, sites);
    EXPECT_LE(plan.at + plan.bytes.size(), area.room.end);
    EXPECT_EQ(plan.jumps.size() + plan.left_out.size(), sites.size());
    EXPECT_FALSE(plan.left_out.empty());
    EXPECT_EQ(plan_more_stubs({}, sites).left_out.size(), sites.size());
}

// Signals on the same stack, at every instruction of the stub sooner or later: the handler counts where it came.
volatile std::sig_atomic_t signals_in_area = 0;
std::uint64_t storm_area = 0, storm_end = 0;

void scribble(int, siginfo_t*, void* context) {
    volatile std::uint64_t stack[64];
    for (volatile std::uint64_t& word : stack) word = 0xdeadbeefdeadbeef;
    const auto ip = static_cast<std::uint64_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
    if (ip >= storm_area && ip < storm_end) signals_in_area = signals_in_area + 1;
}

TEST_F(StubArea, StandsAStormOfSignals) {
    const NamedTable table = table_of("intel", intel_host(), "");
    const auto view = FlatTable::view(table.bytes);
    Random random(11);
    // Keeps to the red zone, as a leaf function does.
    const Piece piece{.code = bytes({0x0f, 0xa2, 0x48, 0x8b, 0x6c, 0x24, 0xb8, 0x48, 0x89, 0x44, 0x24, 0xf8})};
    ASSERT_NO_FATAL_FAILURE(install(table.bytes, piece));
    storm_area = area_;
    storm_end = area_ + 8 * kPage;
    signals_in_area = 0;

    struct sigaction action{}, before{};
    action.sa_sigaction = scribble;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
    const itimerval often{{0, 100}, {0, 100}}, never{};
    ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
    constexpr int kWanted = 300;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    int different = 0;
    while (signals_in_area < kWanted && different == 0 && std::chrono::steady_clock::now() < deadline) {
        // No LIVE field: else nearly all signals would come behind a slow real CPUID.
        MachineState before_cpuid = random_state(random, kArithmetic);
        before_cpuid.registers[MachineState::rax] = 0x80000002 + random() % 3;
        const MachineState expected = run_code(code_, before_cpuid);
        EXPECT_EQ(
            expected.registers[MachineState::rbx],
            view->lookup(static_cast<std::uint32_t>(before_cpuid.registers[MachineState::rax]), 0, real_cpuid).ebx);
        for (int i = 0; i < 1000; ++i) different += run_code(code_, before_cpuid) == expected ? 0 : 1;
    }
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before, nullptr);
    EXPECT_GE(signals_in_area, kWanted)
        << "too few signals arrived inside of the area for this to have tested anything";
}

}  // namespace
}  // namespace cpulevel::cpuid

#endif
