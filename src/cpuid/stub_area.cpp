// An area is: the flat table at its start, where somebody who inspects a process finds it by its magic; behind it the
// lookup routine (lookup_routine.h); then one stub for each site.
//
// A stub is entered by the jump that stands where CPUID stood, so to the program all of it is that one instruction.
// What it takes care of:
//   - The red zone: leaf functions keep values in the 128 bytes below RSP without moving it (System V ABI, AMD64
//     supplement, 3.2.2). RSP is lowered past them before anything is pushed, and by LEA, which keeps the flags. The
//     kernel leaves 128 bytes below RSP alone when it delivers a signal, so one may arrive at any instruction here.
//   - The flags: CPUID changes none. POPFQ gives all of them back, and they are the program's own from a moment ago, so
//     it cannot trap (TF) or mask (AC) anything that was not so before.
//   - Shadow stacks: the one CALL has its RET. Landing pads (ENDBR64): none is needed for direct jumps.
//   - The moved instructions run after everything is back, RSP included, so they may push, pop, and use the red zone.
//     Their RIP-relative operands are adjusted to the old targets; one out of reach from here makes the site left out.
//
// What remains visible: the instruction pointer, in a signal's context or a debugger, can lie in the area; 160 bytes
// below RSP (the red zone counted in) have to be there as stack, which CPUID did not need; and CPUID is a serializing
// instruction (Intel SDM vol. 3A, 9.3), a stub is not. Its LFENCE keeps the order that "CPUID; RDTSC" is written for;
// code that executes CPUID so that instructions which another thread has written are fetched anew (cross-modifying
// code, 9.1.3, as in a JIT compiler's runtime) gets no such guarantee from a patched site.
#include "cpuid/stub_area.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>

#include "cpuid/flat_table.h"
#include "cpuid/lookup_routine.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::size_t kPageSize = 4096;  // x86-64
constexpr std::size_t kAlignment = 16;   // of routine and stubs, for the instruction fetch
constexpr std::size_t kCpuidLength = 2;
constexpr std::byte kCpuid0{0x0f}, kCpuid1{0xa2}, kJump{0xe9}, kBreakpoint{0xcc};

constexpr auto code(auto... bytes) { return std::array{static_cast<std::byte>(bytes)...}; }
constexpr auto kEnter = code(0x48, 0x8d, 0x64, 0x24, 0x80,                     // lea rsp, [rsp - 128]
                             0x9c,                                             // pushfq
                             0xe8);                                            // call, to be followed by a displacement
constexpr auto kLeave = code(0x9d,                                             // popfq
                             0x48, 0x8d, 0xa4, 0x24, 0x80, 0x00, 0x00, 0x00);  // lea rsp, [rsp + 128]
constexpr std::size_t kDisplacementLength = 4;
constexpr std::size_t kMostStubLength = kEnter.size() + kDisplacementLength + kLeave.size() +
                                        (SitePatch::kMostLength - kCpuidLength) + SitePatch::kJumpLength;

constexpr std::size_t aligned(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

// The displacement from the end of an instruction to its target, where 32 bits can hold it.
std::optional<std::int32_t> displacement(std::uint64_t end, std::uint64_t target) {
    const auto distance = static_cast<std::int64_t>(target - end);
    if (distance < std::numeric_limits<std::int32_t>::min() || distance > std::numeric_limits<std::int32_t>::max()) {
        return std::nullopt;
    }
    return static_cast<std::int32_t>(distance);
}

// Patches may have been read from a file: one that is not what patch.h says is never installed.
bool well_formed(const SitePatch& patch) {
    if (patch.length < SitePatch::kJumpLength || patch.length > SitePatch::kMostLength) return false;
    if (patch.original[0] != kCpuid0 || patch.original[1] != kCpuid1) return false;
    if (patch.operand_count > SitePatch::kMostOperands) return false;
    return std::ranges::all_of(std::span(patch.operands).first(patch.operand_count), [&](const auto& operand) {
        return operand.displacement >= kCpuidLength && operand.instruction_end <= patch.length &&
               operand.displacement + kDisplacementLength <= operand.instruction_end;
    });
}

// Bytes that know at which address they will lie.
class Code {
   public:
    explicit Code(std::uint64_t address) : address_(address) {}

    [[nodiscard]] std::uint64_t here() const { return address_ + bytes_.size(); }
    [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

    void add(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    // The last field of an instruction; false if the target is out of reach.
    [[nodiscard]] bool add_displacement_to(std::uint64_t target) {
        bytes_.resize(bytes_.size() + kDisplacementLength);
        return set_displacement(bytes_.size() - kDisplacementLength, here(), target);
    }
    [[nodiscard]] bool set_displacement(std::size_t at, std::uint64_t instruction_end, std::uint64_t target) {
        const auto value = displacement(instruction_end, target);
        if (value) std::memcpy(&bytes_[at], &*value, kDisplacementLength);
        return value.has_value();
    }

   private:
    std::uint64_t address_;
    std::vector<std::byte> bytes_;
};

}  // namespace

std::optional<std::vector<std::byte>> site_stub(std::uint64_t address, std::uint64_t routine, const PlacedPatch& site) {
    if (site.patch == nullptr || !well_formed(*site.patch)) return std::nullopt;
    const SitePatch& patch = *site.patch;
    Code stub(address);
    stub.add(kEnter);
    bool reached = stub.add_displacement_to(routine);
    stub.add(kLeave);

    const std::uint64_t moved_to = stub.here() - kCpuidLength;  // where the site's first byte would be
    stub.add(std::span(patch.original).first(patch.length).subspan(kCpuidLength));
    for (const SitePatch::RipOperand& operand : std::span(patch.operands).first(patch.operand_count)) {
        std::int32_t original = 0;
        std::memcpy(&original, &patch.original[operand.displacement], sizeof original);
        const std::uint64_t target =
            site.address + operand.instruction_end + static_cast<std::uint64_t>(std::int64_t{original});
        reached = stub.set_displacement(static_cast<std::size_t>(moved_to - address) + operand.displacement,
                                        moved_to + operand.instruction_end, target) &&
                  reached;
    }

    stub.add(std::span(&kJump, 1));
    reached = stub.add_displacement_to(site.address + patch.length) && reached;
    if (!reached) return std::nullopt;
    return stub.bytes();
}

namespace {

void pad(std::vector<std::byte>& area) { area.resize(aligned(area.size(), kAlignment), kBreakpoint); }

}  // namespace

std::size_t stub_area_size(std::span<const std::byte> table, std::size_t sites) {
    return aligned(aligned(table.size(), kAlignment) + aligned(lookup_routine().code.size(), kAlignment) +
                       sites * aligned(kMostStubLength, kAlignment),
                   kPageSize);
}

StubPlan plan_stub_area(std::span<const std::byte> table, std::uint64_t area_address,
                        std::span<const PlacedPatch> sites) {
    if (!FlatTable::view(table)) throw std::invalid_argument("a stub area was asked for with a table that is none");
    if (area_address % kPageSize != 0) throw std::invalid_argument("a stub area was asked for inside of a page");
    StubPlan plan;
    plan.area.reserve(stub_area_size(table, sites.size()));
    plan.area.assign(table.begin(), table.end());
    pad(plan.area);

    const LookupRoutine routine = lookup_routine();
    const std::size_t routine_offset = plan.area.size();
    const std::uint64_t routine_address = area_address + routine_offset;
    plan.area.insert(plan.area.end(), routine.code.begin(), routine.code.end());
    if (!routine.code.empty()) {
        const auto back =
            displacement(routine_address + routine.table_displacement + kDisplacementLength, area_address);
        if (!back) throw std::invalid_argument("a stub area was asked for with a table of 2 GiB");
        std::memcpy(&plan.area[routine_offset + routine.table_displacement], &*back, kDisplacementLength);
    }
    pad(plan.area);

    for (const PlacedPatch& site : sites) {
        const std::uint64_t address = area_address + plan.area.size();
        const auto jump = displacement(site.address + SitePatch::kJumpLength, address);
        const bool possible = jump && !routine.code.empty();
        const auto stub = possible ? site_stub(address, routine_address, site) : std::nullopt;
        if (!stub) {
            plan.left_out.push_back(site.address);
            continue;
        }
        plan.area.insert(plan.area.end(), stub->begin(), stub->end());
        pad(plan.area);
        TextWrite& write = plan.jumps.emplace_back();
        write.address = site.address;
        write.bytes[0] = kJump;
        std::memcpy(&write.bytes[1], &*jump, kDisplacementLength);
    }
    return plan;
}

}  // namespace cpulevel::cpuid
