#include "cpuid/switch_tables.h"

#include <algorithm>
#include <cstring>

namespace cpulevel::cpuid {
namespace {

std::int32_t entry_at(const std::byte* at) {
    std::int32_t entry = 0;
    std::memcpy(&entry, at, sizeof entry);
    return entry;
}

std::uint64_t target_of(std::uint64_t table, std::int32_t entry) { return table + static_cast<std::uint64_t>(std::int64_t{entry}); }

}  // namespace

bool SwitchTables::find(const Intervals& intervals, const std::set<std::uint64_t>& objects, std::uint64_t& budget,
                        const OnArrival& arrival) {
    for (const ElfImage::Segment& segment : image_.segments()) {
        if (!segment.executable) continue;
        for (const std::uint64_t table : tables(segment)) {
            if (!read(table, intervals, objects, budget, arrival)) return false;
        }
    }
    return true;
}

// Only where it matters: in a large file there are a million LEA instructions, most of them of data.
const std::vector<std::uint64_t>& SwitchTables::tables(const ElfImage::Segment& code) {
    const auto known = std::ranges::find(named_, code.address, &Named::segment);
    if (known != named_.end()) return known->tables;
    Named named{code.address, {}};
    if (const auto bytes = image_.bytes_at(code.address)) named.tables = lea_targets(bytes->bytes(), code.address);
    return named_.emplace_back(std::move(named)).tables;
}

SwitchTables::Blocks* SwitchTables::blocks_of(const ElfImage::Segment& segment) {
    const auto known = std::ranges::find(blocks_, segment.address, [](const Blocks& blocks) { return blocks.segment.address; });
    if (known != blocks_.end()) return &*known;
    const auto content = image_.bytes_at(segment.address);
    if (!content) return nullptr;
    return &blocks_.emplace_back(Blocks{segment, *content, std::vector<std::vector<Extremes>>(content->size() / kBlock / kChunk + 1)});
}

const SwitchTables::Extremes& SwitchTables::extremes(Blocks& blocks, std::uint64_t offset) {
    const std::uint64_t block = offset / kBlock;
    std::vector<Extremes>& chunk = blocks.chunks[block / kChunk];
    if (chunk.empty()) chunk.resize(kChunk);
    Extremes& result = chunk[block % kChunk];
    if (result.known) return result;
    const std::byte* const entries = blocks.content.bytes().data() + offset;
    result = {.least = entry_at(entries), .greatest = entry_at(entries), .known = true};
    for (std::uint64_t at = kEntry; at < kBlock; at += kEntry) {
        result.least = std::min(result.least, entry_at(entries + at));
        result.greatest = std::max(result.greatest, entry_at(entries + at));
    }
    return result;
}

bool SwitchTables::read(std::uint64_t table, const Intervals& intervals, const std::set<std::uint64_t>& objects,
                        std::uint64_t& budget, const OnArrival& arrival) {
    const auto content = image_.bytes_at(table);
    if (!content || content->size() < kEntry) return true;
    // Nearly all that is named is something else.
    const ElfImage::Segment* const first = image_.segment_at(target_of(table, entry_at(content->bytes().data())));
    if (first == nullptr || !first->executable) return true;
    const auto next = objects.upper_bound(table);
    const std::uint64_t room = std::min(content->size(), next == objects.end() ? content->size() : *next - table);
    const std::byte* const entries = content->bytes().data();
    Blocks* blocks = nullptr;  // of the table's segment, where its entries stand as those of the blocks do
    std::uint64_t in_segment = 0;
    ElfImage::Segment code;  // where the last one led: most lead there, too
    for (std::uint64_t at = 0; at + kEntry <= room; at += kEntry) {
        // Is there a whole block, all of which leads to this code and to none of the intervals? Asked only in what is a table,
        // by its length, and not the first words of a function or of a text.
        if (at >= kBlock && blocks != nullptr && (in_segment + at) % kBlock == 0 && room - at >= kBlock && budget >= kBlock / kEntry) {
            const Extremes& block = extremes(*blocks, in_segment + at);
            const std::uint64_t least = target_of(table, block.least), greatest = target_of(table, block.greatest);
            if (least <= greatest && least - code.address < code.size && greatest - code.address < code.size &&
                !intervals.touches(least, greatest)) {
                budget -= kBlock / kEntry;
                at += kBlock - kEntry;
                continue;
            }
        }
        const std::uint64_t target = target_of(table, entry_at(entries + at));
        if (target - code.address >= code.size) {
            const ElfImage::Segment* const segment = image_.segment_at(target);
            if (segment == nullptr || !segment->executable) return true;
            code = *segment;
            if (const ElfImage::Segment* const own = image_.segment_at(table); own != nullptr && blocks == nullptr) {
                in_segment = table - own->address;
                if (in_segment % kEntry == 0) blocks = blocks_of(*own);
            }
        }
        if (budget == 0) return false;
        --budget;
        if (!intervals.is_near(target)) continue;
        if (const auto found = intervals.find(target)) arrival(*found, target);
    }
    return true;
}

}  // namespace cpulevel::cpuid
