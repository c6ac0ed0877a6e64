// An area is: the flat table at its start, where somebody who inspects a process finds it by its magic; behind it the
// routines (lookup_routine.h) and the list of files that need no stop (known_files.h); then one stub for each site.
//
// A stub is entered by the jump that stands where CPUID stood, so to the program all of it is that one instruction.
// What it takes care of:
//   - The red zone: leaf functions keep values in the 128 bytes below RSP without moving it (System V ABI, AMD64
//     supplement, 3.2.2). RSP is lowered past them before anything is pushed, and by LEA, which keeps the flags. The
//     kernel leaves 128 bytes below RSP alone when it delivers a signal, so one may arrive at any instruction here.
//   - The flags: CPUID changes none. POPFQ gives all of them back, and they are the program's own from a moment ago, so
//     it cannot trap (TF) or mask (AC) anything that was not so before.
//   - Shadow stacks: the one CALL has its RET. Landing pads (ENDBR64): none is needed for direct jumps.
//   - The moved instructions run before anything is changed or after everything is back, RSP included, so they may
//   push, pop, and use the red zone.
//     Their RIP-relative operands are adjusted to the old targets; one out of reach from here makes the site left out.
//
// What remains visible: the instruction pointer, in a signal's context or a debugger, can lie in the area; 160 bytes
// (of a loader's mmap of code, 350) below RSP (the red zone counted in) have to be there as stack, which CPUID did not
// need; and CPUID is a serializing instruction (Intel SDM vol. 3A, 9.3), a stub is not. Its LFENCE keeps the order that
// "CPUID; RDTSC" is written for; code that executes CPUID so that instructions which another thread has written are
// fetched anew (cross-modifying code, 9.1.3, as in a JIT compiler's runtime) gets no such guarantee from a patched
// site.
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
constexpr std::byte k0F{0x0f}, kCpuid1{0xa2}, kSyscall1{0x05}, kJump{0xe9}, kBreakpoint{0xcc};

constexpr auto code(auto... bytes) { return std::array{static_cast<std::byte>(bytes)...}; }
constexpr auto kEnter = code(0x48, 0x8d, 0x64, 0x24, 0x80,                     // lea rsp, [rsp - 128]
                             0x9c,                                             // pushfq
                             0xe8);                                            // call, to be followed by a displacement
constexpr auto kLeave = code(0x9d,                                             // popfq
                             0x48, 0x8d, 0xa4, 0x24, 0x80, 0x00, 0x00, 0x00);  // lea rsp, [rsp + 128]
// SYSCALL has used up RCX and R11 (both are the kernel's by the ABI), and what follows changes no flag:
// ECX = 0 unless PROT_EXEC (4) is in EDX. Then the file is looked up, with the stack as in the other stubs.
constexpr auto kMapCall = code(0x0f, 0x05,                          // syscall
                               0x48, 0x8d, 0x0c, 0xd5, 0, 0, 0, 0,  // lea rcx, [rdx * 8]
                               0x48, 0x8d, 0x0c, 0x8d, 0, 0, 0, 0,  // lea rcx, [rcx * 4]: PROT_EXEC is bit 7
                               0x0f, 0xbe, 0xc9,                    // movsx ecx, cl
                               0x0f, 0xb6, 0xcd,                    // movzx ecx, ch
                               0x67, 0xe3, 0x18,                    // jecxz behind the hlt
                               0x48, 0x8d, 0x64, 0x24, 0x80,        // lea rsp, [rsp - 128]
                               0x9c,                                // pushfq
                               0xe8);                               // call, to be followed by a displacement
constexpr auto kMapCallEnd = code(0x9d,                             // popfq
                                  0x48, 0x8d, 0xa4, 0x24, 0x80, 0x00, 0x00, 0x00,  // lea rsp, [rsp + 128]
                                  0x67, 0xe3, 0x01,                                // jecxz behind the next
                                  0xf4);                                           // hlt
constexpr std::size_t kDisplacementLength = 4;
constexpr std::size_t kMostFilesSize = sizeof(KnownFiles::Header) + KnownFiles::kMost * sizeof(FileIdentity);
constexpr std::size_t kMapCallLength = kMapCall.size() + kDisplacementLength + kMapCallEnd.size();
constexpr std::size_t kMostStubLength = std::max(kEnter.size() + kDisplacementLength + kLeave.size(), kMapCallLength) +
                                        (SitePatch::kMostLength - SitePatch::kSiteLength) + SitePatch::kJumpLength;

static_assert(kMostStubLength <= kLongestStub);

constexpr std::size_t aligned(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

// The displacement from the end of an instruction to its target, where 32 bits can hold it.
std::optional<std::int32_t> displacement(std::uint64_t end, std::uint64_t target) {
    const auto distance = static_cast<std::int64_t>(target - end);
    if (distance < std::numeric_limits<std::int32_t>::min() || distance > std::numeric_limits<std::int32_t>::max()) {
        return std::nullopt;
    }
    return static_cast<std::int32_t>(distance);
}

bool is_map_call(const SitePatch& patch) { return patch.original[patch.site + std::size_t{1}] == kSyscall1; }

// Patches may have been read from a file: one that is not what patch.h says is never installed.
bool well_formed(const SitePatch& patch) {
    if (patch.length < SitePatch::kJumpLength || patch.length > SitePatch::kMostLength) return false;
    if (patch.site + SitePatch::kSiteLength > patch.length) return false;
    if (patch.original[patch.site] != k0F) return false;
    if (patch.original[patch.site + std::size_t{1}] != kCpuid1 && !is_map_call(patch)) return false;
    if (patch.operand_count > SitePatch::kMostOperands) return false;
    return std::ranges::all_of(std::span(patch.operands).first(patch.operand_count), [&](const auto& operand) {
        const bool before = operand.instruction_end <= patch.site;
        const bool behind = operand.displacement >= patch.site + SitePatch::kSiteLength;
        return (before || behind) && operand.instruction_end <= patch.length &&
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
    const auto original = std::span(patch.original).first(patch.length);
    Code stub(address);
    bool reached = true;
    stub.add(original.first(patch.site));
    if (is_map_call(patch)) {
        stub.add(kMapCall);
        reached = stub.add_displacement_to(routine + lookup_routine().known_file);
        stub.add(kMapCallEnd);
    } else {
        stub.add(kEnter);
        reached = stub.add_displacement_to(routine);
        stub.add(kLeave);
    }

    const std::size_t behind = patch.site + SitePatch::kSiteLength;
    const std::uint64_t grown = stub.here() - address - behind;  // what lies behind the site comes that much later
    stub.add(original.subspan(behind));
    for (const SitePatch::RipOperand& operand : std::span(patch.operands).first(patch.operand_count)) {
        std::int32_t displacement = 0;
        std::memcpy(&displacement, &patch.original[operand.displacement], sizeof displacement);
        const std::uint64_t target =
            site.address + operand.instruction_end + static_cast<std::uint64_t>(std::int64_t{displacement});
        const std::uint64_t shift = operand.displacement < patch.site ? 0 : grown;
        reached = stub.set_displacement(static_cast<std::size_t>(shift) + operand.displacement,
                                        address + shift + operand.instruction_end, target) &&
                  reached;
    }

    stub.add(std::span(&kJump, 1));
    reached = stub.add_displacement_to(site.address + patch.length) && reached;
    if (!reached) return std::nullopt;
    return stub.bytes();
}

namespace {

void pad(std::vector<std::byte>& bytes) { bytes.resize(aligned(bytes.size(), kAlignment), kBreakpoint); }

// The list that the second routine reads, right behind it.
void add_files(std::vector<std::byte>& bytes, const KnownFiles& files) {
    const auto some = files.files.first(std::min(files.files.size(), KnownFiles::kMost));
    const KnownFiles::Header header{.call = files.call, .count = static_cast<std::uint32_t>(some.size())};
    const auto add = [&](std::span<const std::byte> part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
    add(std::as_bytes(std::span(&header, 1)));
    add(std::as_bytes(some));
}

// Appends a stub for each site to plan.bytes, as far as [plan.at, end) has room.
void add_stubs(StubPlan& plan, std::uint64_t routine, std::uint64_t end, std::span<const PlacedPatch> sites) {
    for (const PlacedPatch& site : sites) {
        const std::uint64_t address = plan.at + plan.bytes.size();
        const auto jump = displacement(site.address + SitePatch::kJumpLength, address);
        const bool possible = jump && routine != 0;
        const auto stub = possible ? site_stub(address, routine, site) : std::nullopt;
        if (!stub || end - address < aligned(stub->size(), kAlignment)) {
            plan.left_out.push_back(site.address);
            continue;
        }
        plan.bytes.insert(plan.bytes.end(), stub->begin(), stub->end());
        pad(plan.bytes);
        if (is_map_call(*site.patch)) plan.map_stops.push_back(address + kMapCallLength - 1);
        TextWrite& write = plan.jumps.emplace_back();
        write.address = site.address;
        write.bytes[0] = kJump;
        std::memcpy(&write.bytes[1], &*jump, kDisplacementLength);
    }
    plan.room = {.routine = routine, .next = plan.at + plan.bytes.size(), .end = end};
}

}  // namespace

bool is_map_call_stub(std::span<const std::byte> stub) {
    if (stub.size() < kMapCallLength) return false;
    return std::ranges::equal(stub.first(kMapCall.size()), kMapCall) &&
           std::ranges::equal(stub.subspan(kMapCall.size() + kDisplacementLength, kMapCallEnd.size()), kMapCallEnd);
}

std::size_t map_call_stub_length() { return kMapCallLength; }

std::size_t stubs_size(std::size_t sites) { return sites * aligned(kMostStubLength, kAlignment); }

std::size_t stub_area_size(std::span<const std::byte> table, std::size_t sites, std::size_t live) {
    return aligned(aligned(table.size(), kAlignment) + aligned(lookup_routine().code.size(), kAlignment) +
                       aligned(kMostFilesSize, kAlignment) + aligned(live, kAlignment) + stubs_size(sites),
                   kPageSize);
}

StubPlan plan_stub_area(std::span<const std::byte> table, std::uint64_t area_address, std::size_t size,
                        std::span<const PlacedPatch> sites, const KnownFiles& files, std::span<const std::byte> live) {
    if (!FlatTable::view(table)) throw std::invalid_argument("a stub area was asked for with a table that is none");
    if (area_address % kPageSize != 0) throw std::invalid_argument("a stub area was asked for inside of a page");
    if (size < stub_area_size(table, 0))
        throw std::invalid_argument("a stub area was asked for without room for its table");
    StubPlan plan;
    plan.at = area_address;
    plan.bytes.reserve(std::min(size, stub_area_size(table, sites.size(), live.size())));
    plan.bytes.assign(table.begin(), table.end());
    pad(plan.bytes);

    const LookupRoutine routine = lookup_routine();
    const std::size_t routine_offset = plan.bytes.size();
    const std::uint64_t routine_address = area_address + routine_offset;
    plan.bytes.insert(plan.bytes.end(), routine.code.begin(), routine.code.end());
    if (!routine.code.empty()) {
        const auto back =
            displacement(routine_address + routine.table_displacement + kDisplacementLength, area_address);
        if (!back) throw std::invalid_argument("a stub area was asked for with a table of 2 GiB");
        std::memcpy(&plan.bytes[routine_offset + routine.table_displacement], &*back, kDisplacementLength);
    }
    add_files(plan.bytes, files);
    pad(plan.bytes);
    if (!live.empty() && plan.bytes.size() + aligned(live.size(), kAlignment) + stubs_size(sites.size()) <= size) {
        const auto live_at = static_cast<std::uint32_t>(plan.bytes.size());
        std::memcpy(&plan.bytes[offsetof(FlatHeader, live_at)], &live_at, sizeof live_at);
        plan.bytes.insert(plan.bytes.end(), live.begin(), live.end());
        pad(plan.bytes);
    }
    add_stubs(plan, routine.code.empty() ? 0 : routine_address, area_address + size, sites);
    return plan;
}

StubPlan plan_more_stubs(const StubRoom& room, std::span<const PlacedPatch> sites) {
    StubPlan plan;
    plan.at = room.next;
    add_stubs(plan, room.routine, room.end, sites);
    return plan;
}

}  // namespace cpulevel::cpuid
