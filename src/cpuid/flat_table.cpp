#include "cpuid/flat_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <tuple>

namespace cpulevel::cpuid {

// The bytes are the structures as they stand in memory; a profile is played back on any machine, a page is not.
static_assert(std::endian::native == std::endian::little);

std::vector<std::byte> flatten(const VirtualCpuid& virtual_cpuid) {
    std::vector<FlatEntry> entries;
    const auto add = [&](std::uint32_t leaf, std::uint32_t match, std::uint32_t subleaf,
                         const VirtualCpuid::Entry& from) {
        entries.push_back({.leaf = leaf,
                           .match = match,
                           .subleaf = subleaf,
                           .flags = from.repeats_subleaf ? FlatEntry::kRepeatsSubleaf : 0,
                           .fixed = from.fixed,
                           .live = from.live});
    };
    for (const auto& [key, entry] : virtual_cpuid.entries()) {
        add(key.leaf, entry.has_subleaves ? FlatEntry::kThisSubleaf : FlatEntry::kAnySubleaf, key.subleaf, entry);
    }
    for (const auto& [leaf, entry] : virtual_cpuid.other_subleaves()) add(leaf, FlatEntry::kAnySubleaf, 0, entry);
    std::ranges::sort(entries, {}, [](const FlatEntry& e) { return std::tuple(e.leaf, e.match, e.subleaf); });

    FlatHeader header;
    header.size = static_cast<std::uint32_t>(sizeof header + entries.size() * sizeof(FlatEntry));
    header.entry_count = static_cast<std::uint32_t>(entries.size());
    header.above_maximum =
        virtual_cpuid.above_maximum_repeats_highest() ? FlatHeader::kRepeatHighest : FlatHeader::kZeros;
    for (std::size_t i = 0; i < virtual_cpuid.ranges().size(); ++i) {
        header.ranges[i] = {virtual_cpuid.ranges()[i].first, virtual_cpuid.ranges()[i].last};
    }
    std::vector<std::byte> bytes(header.size);
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!entries.empty()) std::memcpy(bytes.data() + sizeof header, entries.data(), entries.size() * sizeof(FlatEntry));
    return bytes;
}

std::optional<FlatTable> FlatTable::view(std::span<const std::byte> bytes) {
    FlatHeader header;
    if (bytes.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != FlatHeader::kMagic || header.version != FlatHeader::kVersion) return std::nullopt;
    if (header.size > bytes.size() || header.size < sizeof header) return std::nullopt;
    if (header.entry_count != (header.size - sizeof header) / sizeof(FlatEntry)) return std::nullopt;
    return FlatTable(header, bytes.subspan(sizeof header, header.entry_count * sizeof(FlatEntry)));
}

FlatEntry FlatTable::entry(std::size_t index) const {
    FlatEntry entry;
    std::memcpy(&entry, entries_.subspan(index * sizeof entry, sizeof entry).data(), sizeof entry);
    return entry;
}

arch::CpuidRegisters FlatTable::lookup(std::uint32_t leaf, std::uint32_t subleaf, const RealCpuid& real) const {
    const bool within = std::ranges::any_of(
        header_.ranges, [&](const FlatHeader::Range& range) { return range.first <= leaf && leaf <= range.last; });
    if (!within) {
        if (header_.above_maximum != FlatHeader::kRepeatHighest) return {};
        leaf = header_.ranges[0].last;
    }
    for (std::size_t i = 0; i < header_.entry_count; ++i) {
        const FlatEntry candidate = entry(i);
        if (candidate.leaf > leaf) break;
        if (candidate.leaf != leaf) continue;
        if (candidate.match != FlatEntry::kAnySubleaf && candidate.subleaf != subleaf) continue;
        arch::CpuidRegisters result = candidate.fixed;
        if (candidate.live != arch::CpuidRegisters{}) {
            const arch::CpuidRegisters own = real(leaf, subleaf);
            result.eax |= own.eax & candidate.live.eax;
            result.ebx |= own.ebx & candidate.live.ebx;
            result.ecx |= own.ecx & candidate.live.ecx;
            result.edx |= own.edx & candidate.live.edx;
        }
        if ((candidate.flags & FlatEntry::kRepeatsSubleaf) != 0) result.ecx = (result.ecx & ~0xffU) | (subleaf & 0xffU);
        return result;
    }
    return {};
}

}  // namespace cpulevel::cpuid
