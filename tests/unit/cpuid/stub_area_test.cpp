// Stub areas are executed: a piece of code around a CPUID, patched as a plan says, against its twin in which the CPUID
// is two bytes of NOP and the registers hold FlatTable::lookup()'s answer beforehand. Everything that the two leave
// must be the same: registers, flags, red zone, vector registers and memory.
#include "cpuid/stub_area.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <sched.h>
#include <sys/time.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cpuid/flat_table.h"
#include "example_cpus.h"
#include "level/expression.h"
#include "stub_machine.h"

namespace cpulevel::cpuid {
namespace {

using arch::CpuidRegisters;
using Bytes = std::vector<std::byte>;
using Random = std::mt19937_64;

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;

Bytes bytes(std::initializer_list<int> values) {
    Bytes result;
    for (const int value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

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

// A piece of code around a CPUID, independent of where it lies until it is placed.
struct Piece {
    struct Operand {
        std::uint8_t displacement, instruction_end;
        std::uint32_t data_offset;
    };
    Bytes code = bytes({0x0f, 0xa2});
    std::vector<Operand> operands;

    [[nodiscard]] SitePatch placed(std::uint64_t site, std::uint64_t data) const {
        SitePatch patch;
        patch.length = static_cast<std::uint8_t>(code.size());
        patch.operand_count = static_cast<std::uint8_t>(operands.size());
        std::ranges::copy(code, patch.original.begin());
        for (std::size_t i = 0; i < operands.size(); ++i) {
            const auto [displacement, end, offset] = operands[i];
            patch.operands[i] = {.displacement = displacement, .instruction_end = end};
            const auto value = static_cast<std::int32_t>(data + offset - (site + end));
            std::memcpy(&patch.original[displacement], &value, sizeof value);
        }
        return patch;
    }
};

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

// jmp [rip + 0] and where to.
Bytes leave() {
    Bytes code = bytes({0xff, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    const std::uint64_t target = leave_target();
    std::memcpy(&code[6], &target, sizeof target);
    return code;
}

struct NamedTable {
    std::string name;
    Bytes bytes;
};

NamedTable table_of(std::string name, const arch::CpuidDump& host, std::string_view level) {
    auto built = level.empty() ? level_of_node(host) : *level::parse_level(level, arch::Architecture::x86_64);
    return {std::move(name), flatten(VirtualCpuid::build(built, host))};
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
        if (random() % 16 == 0) entry.live = {0, 0, 0, 0x80000000};
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

constexpr std::uint64_t kCarry = 0x1, kArithmetic = 0x8d5, kDirection = 0x400, kAlignmentCheck = 0x40000,
                        kId = 0x200000;
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
        std::ranges::copy(leave(), std::back_inserter(code));
        Arena::write(code_, code);

        const SitePatch twin = piece.placed(twin_, data_);
        code.assign(twin.original.begin(), twin.original.begin() + twin.length);
        code[0] = std::byte{0x66};  // nop of two bytes
        code[1] = std::byte{0x90};
        std::ranges::copy(leave(), std::back_inserter(code));
        Arena::write(twin_, code);

        const PlacedPatch site{.patch = &patch, .address = code_};
        const StubPlan plan = plan_stub_area(table, area_, std::span(&site, 1));
        ASSERT_TRUE(plan.left_out.empty());
        ASSERT_EQ(plan.jumps.size(), 1U);
        ASSERT_EQ(plan.jumps[0].address, code_);
        ASSERT_LE(plan.area.size(), stub_area_size(table, 1));
        Arena::write(area_, plan.area);
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
        const CpuidRegisters answer = table.lookup(question.leaf, question.subleaf, real_cpuid);
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
    cpu_set_t before_{};
};

TEST_F(StubArea, AnswersAsTheTableOfAnIntelNode) { check(table_of("intel", intel_host(), ""), 40, 200); }
TEST_F(StubArea, AnswersAsTheTableOfAnAmdNode) { check(table_of("amd", amd_host(), ""), 40, 200); }
TEST_F(StubArea, AnswersAsTheTableOfANamedLevel) { check(table_of("v2", intel_host(), "x86-64-v2"), 40, 200); }

TEST_F(StubArea, AnswersAsAnyTable) {
    Random random(7);
    for (int i = 0; i < 200; ++i) ASSERT_NO_FATAL_FAILURE(check(random_table(random), 2, 50));
}

TEST_F(StubArea, AnswersFromATableWithoutEntries) {
    FlatHeader header;
    header.ranges[0] = {0, 5};
    check({"zeros", bytes_of(header, {})}, 5, 50);
    header.above_maximum = FlatHeader::kRepeatHighest;
    check({"repeats", bytes_of(header, {})}, 5, 50);
}

}  // namespace
}  // namespace cpulevel::cpuid

#endif
