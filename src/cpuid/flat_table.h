// The virtual CPUID as plain bytes, for a page in another process: no pointers, no padding of unknown content, so that
// it can be copied to any address, travels with a checkpoint, and is searched by a few instructions of assembly.
//
// Layout, all words 32 bits, little-endian (x86), aligned to 4 bytes:
//
//   offset  0  FlatHeader  (64 bytes)
//          64  FlatEntry * entry_count  (48 bytes each)
//
// How to answer (EAX = leaf, ECX = subleaf); lookup() is this in C++, and a stub must do the same:
//
//   1. If the leaf is in none of header.ranges (first <= leaf <= last; an empty one has last < first), then the answer
//      is zeros, or, if header.above_maximum is kRepeatHighest, the leaf becomes ranges[0].last.
//   2. The first entry with entry.leaf == leaf and (entry.match == kAnySubleaf or entry.subleaf == subleaf) answers;
//      zeros if there is none. Entries are sorted by leaf, then by match, then by subleaf, so that the listed subleaves
//      come before the entry for all others, and a search may stop at the first entry with a greater leaf.
//   3. The answer is entry.fixed; if entry.live has any bit, CPUID is executed with this leaf and subleaf and each
//      live bit is taken from it (fixed has 0 there). Where header.live_at is not 0, what stands there goes before it.
//   4. If entry.flags has kRepeatsSubleaf, ECX[7:0] becomes the subleaf's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "arch/cpuid_dump.h"
#include "cpuid/virtual_cpuid.h"

namespace cpulevel::cpuid {

struct FlatHeader {
    static constexpr std::uint32_t kMagic = 0x44495543;  // "CUID"
    static constexpr std::uint32_t kVersion = 2;
    static constexpr std::uint32_t kZeros = 0, kRepeatHighest = 1;

    std::uint32_t magic = kMagic;
    std::uint32_t version = kVersion;
    std::uint32_t size = 0;         // bytes, of header and entries
    std::uint32_t entry_count = 0;
    std::uint32_t above_maximum = kZeros;
    std::uint32_t live_at = 0;      // from the header, where an area has answers to LIVE fields (live_rows.h); 0: nowhere
    std::uint32_t reserved[2] = {};
    struct Range {
        std::uint32_t first = 1, last = 0;
    } ranges[4];                    // basic, hypervisor, extended, Centaur
};

struct FlatEntry {
    static constexpr std::uint32_t kThisSubleaf = 0, kAnySubleaf = 1;
    static constexpr std::uint32_t kRepeatsSubleaf = 1;

    std::uint32_t leaf = 0;
    std::uint32_t match = kThisSubleaf;
    std::uint32_t subleaf = 0;      // of kThisSubleaf; else 0
    std::uint32_t flags = 0;
    arch::CpuidRegisters fixed;     // EAX, EBX, ECX, EDX
    arch::CpuidRegisters live;
};

static_assert(sizeof(FlatHeader) == 64 && std::is_trivially_copyable_v<FlatHeader>);
static_assert(sizeof(FlatEntry) == 48 && std::is_trivially_copyable_v<FlatEntry>);
static_assert(sizeof(arch::CpuidRegisters) == 16 && offsetof(arch::CpuidRegisters, edx) == 12);
static_assert(offsetof(FlatEntry, fixed) == 16 && offsetof(FlatEntry, live) == 32);

// The table's bytes, as they go into the page.
[[nodiscard]] std::vector<std::byte> flatten(const VirtualCpuid& virtual_cpuid);

// A view of such bytes wherever they lie (4-byte aligned or not).
class FlatTable {
   public:
    // Nothing if the bytes are no table of this version, are cut, or claim more entries than there are.
    [[nodiscard]] static std::optional<FlatTable> view(std::span<const std::byte> bytes);

    [[nodiscard]] arch::CpuidRegisters lookup(std::uint32_t leaf, std::uint32_t subleaf, const RealCpuid& real) const;
    [[nodiscard]] const FlatHeader& header() const { return header_; }
    [[nodiscard]] FlatEntry entry(std::size_t index) const;

   private:
    FlatTable(const FlatHeader& header, std::span<const std::byte> entries) : header_(header), entries_(entries) {}
    FlatHeader header_;
    std::span<const std::byte> entries_;
};

}  // namespace cpulevel::cpuid
