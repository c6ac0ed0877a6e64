#include "cpuid/arrivals.h"

#include <algorithm>
#include <cstring>

namespace cpulevel::cpuid {
namespace {

template <class T>
T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

bool is_rip_lea(unsigned modrm, unsigned opcode) { return opcode == 0x8D && (modrm & 0xC7U) == 0x05; }

// What a 32-bit displacement belongs to, by the bytes before it (Intel SDM volume 2, appendix A).
bool leads_somewhere(unsigned before, unsigned before_that) {
    if (before == 0xE8 || before == 0xE9) return true;                            // CALL, JMP
    if (before_that == 0x0F && (before & 0xF0U) == 0x80) return true;             // Jcc
    if (before_that == 0xC7 && before == 0xF8) return true;                       // XBEGIN
    return is_rip_lea(before, before_that);
}

bool is_short_branch(unsigned opcode) {
    return opcode == 0xEB || (opcode & 0xF0U) == 0x70 || (opcode >= 0xE0 && opcode <= 0xE3);
}

}  // namespace

Intervals::Intervals(std::vector<Interval> intervals) : intervals_(std::move(intervals)) {}

std::optional<std::size_t> Intervals::find(std::uint64_t address) const {
    const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), address,
                                        [](std::uint64_t value, const Interval& each) { return value < each.begin; });
    if (after == intervals_.begin() || address >= std::prev(after)->end) return std::nullopt;
    return static_cast<std::size_t>(std::prev(after) - intervals_.begin());
}

// Here and below, loops over every byte of programs of a hundred megabytes are plain, for builds without optimization too.
void find_long_arrivals(std::span<const std::byte> code, std::uint64_t address, const Intervals& intervals,
                        const OnArrival& arrival) {
    if (intervals.empty() || code.size() < 5) return;
    const std::uint64_t span = intervals.span();
    const std::byte* const begin = code.data();
    const std::byte* const last = begin + code.size() - sizeof(std::int32_t);
    std::uint64_t behind_low = address + 5 - intervals.low();  // from the lowest target to the byte behind the displacement
    std::int32_t displacement = 0;
    for (const std::byte* at = begin + 1; at <= last; ++at, ++behind_low) {
        std::memcpy(&displacement, at, sizeof displacement);
        const std::uint64_t above_low = behind_low + static_cast<std::uint64_t>(std::int64_t{displacement});
        if (above_low >= span) continue;
        const unsigned before_that = at - begin >= 2 ? std::to_integer<unsigned>(at[-2]) : 0;
        if (!leads_somewhere(std::to_integer<unsigned>(at[-1]), before_that)) continue;
        if (const auto index = intervals.find(intervals.low() + above_low)) arrival(*index);
    }
}

std::vector<std::uint64_t> lea_targets(std::span<const std::byte> code, std::uint64_t address) {
    std::vector<std::uint64_t> result;
    const std::byte* const begin = code.data();
    for (std::size_t at = 2; at + 4 <= code.size(); ++at) {
        if (begin[at - 2] != std::byte{0x8D}) continue;
        if (!is_rip_lea(std::to_integer<unsigned>(begin[at - 1]), 0x8D)) continue;
        result.push_back(address + at + 4 + static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(begin + at)}));
    }
    std::ranges::sort(result);
    const auto repeated = std::ranges::unique(result);
    result.erase(repeated.begin(), repeated.end());
    return result;
}

bool has_short_arrival(std::span<const std::byte> code, std::uint64_t address, Intervals::Interval interval,
                       std::uint64_t known_begin, std::uint64_t known_end) {
    // The opcode is two bytes before the place that the displacement (-128 to 127) counts from.
    const std::uint64_t first = interval.begin - std::min<std::uint64_t>(interval.begin - address, 127 + 2);
    const std::uint64_t last = std::min(interval.end + 128, address + code.size());
    for (std::uint64_t opcode = first; opcode + 2 <= last; ++opcode) {
        if (opcode >= known_begin && opcode < known_end) continue;
        const std::size_t at = opcode - address;
        if (!is_short_branch(std::to_integer<unsigned>(code[at]))) continue;
        const auto displacement = static_cast<std::uint64_t>(std::int64_t{load<std::int8_t>(&code[at + 1])});
        const std::uint64_t target = opcode + 2 + displacement;
        if (target >= interval.begin && target < interval.end) return true;
    }
    return false;
}

namespace {

template <class Value, std::size_t kStep>
void find_values(std::span<const std::byte> bytes, const Intervals& intervals, const OnArrival& arrival) {
    if (intervals.empty() || bytes.size() < sizeof(Value)) return;
    const std::uint64_t low = intervals.low();
    const std::uint64_t span = intervals.span();
    const std::byte* const begin = bytes.data();
    const std::size_t end = bytes.size() - sizeof(Value) + 1;
    Value value = 0;
    for (std::size_t at = 0; at < end; at += kStep) {
        std::memcpy(&value, begin + at, sizeof value);
        if (value - low >= span) continue;
        if (const auto index = intervals.find(value)) arrival(*index);
    }
}

}  // namespace

void find_pointers(std::span<const std::byte> bytes, const Intervals& intervals, const OnArrival& arrival) {
    find_values<std::uint64_t, 4>(bytes, intervals, arrival);
}

void find_immediates(std::span<const std::byte> code, const Intervals& intervals, const OnArrival& arrival) {
    find_values<std::uint32_t, 1>(code, intervals, arrival);
}

}  // namespace cpulevel::cpuid
