#include "cpuid/arrivals.h"

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cstring>

namespace cpulevel::cpuid {
namespace {

template <class T>
T load(const void* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// What a 32-bit displacement belongs to, by the bytes before it (Intel SDM volume 2, appendix A). Without branches and in
// bytes: so a compiler makes it of sixteen places at once.
bool leads_somewhere(std::uint8_t before, std::uint8_t before_that) {
    const bool call_or_jump = (before & 0xFE) == 0xE8;  // E8, E9
    const bool conditional = bool(before_that == 0x0F) & bool((before & 0xF0) == 0x80);
    const bool xbegin = bool(before_that == 0xC7) & bool(before == 0xF8);
    const bool label = bool(before_that == 0x8D) & bool((before & 0xC7) == 0x05);  // LEA of one
    return bool(call_or_jump | conditional) | bool(xbegin | label);
}

bool is_short_branch(unsigned opcode) {
    return opcode == 0xEB || (opcode & 0xF0U) == 0x70 || (opcode >= 0xE0 && opcode <= 0xE3);
}

}  // namespace

Intervals::Intervals(std::vector<Interval> intervals) : intervals_(std::move(intervals)) {
    if (intervals_.empty()) return;
    constexpr unsigned kMostBlockBits = 20;  // 128 KB of bits, which a CPU keeps at hand
    low_ = intervals_.front().begin;
    span_ = intervals_.back().end - low_;
    while (std::bit_width(span_ >> block_bits_) > kMostBlockBits) ++block_bits_;
    blocks_.resize((span_ >> block_bits_) / kWordBits + 1);
    for (const Interval& each : intervals_) {
        const std::uint64_t last = (each.end - 1 - low_) >> block_bits_;
        for (std::uint64_t block = (each.begin - low_) >> block_bits_; block <= last; ++block) {
            blocks_[block / kWordBits] |= std::uint64_t{1} << (block % kWordBits);
        }
    }
}

std::optional<std::size_t> Intervals::search(std::uint64_t address) const {
    const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), address,
                                        [](std::uint64_t value, const Interval& each) { return value < each.begin; });
    if (after == intervals_.begin() || address >= std::prev(after)->end) return std::nullopt;
    return static_cast<std::size_t>(std::prev(after) - intervals_.begin());
}

// Loops over every byte of programs of a hundred megabytes, here and below.
void find_long_arrivals(std::span<const std::byte> code, std::uint64_t address, const Intervals& intervals,
                        const OnArrival& arrival) {
    if (intervals.empty() || code.size() < 5) return;
    constexpr std::size_t kBlock = 4096;
    constexpr std::size_t kWord = sizeof(std::uint64_t);
    std::array<std::uint8_t, kBlock> hits{};
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(code.data());
    const auto try_at = [&](std::size_t at) {  // of a displacement
        const auto displacement = static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(code.data() + at)});
        const std::uint64_t target = address + at + sizeof(std::int32_t) + displacement;
        if (!intervals.is_near(target)) return;
        if (const auto index = intervals.find(target)) arrival(*index);
    };
    if (leads_somewhere(bytes[0], 0)) try_at(1);
    const std::size_t end = code.size() - sizeof(std::int32_t) + 1;
    std::size_t first = 2;
    for (; first + kBlock <= end; first += kBlock) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            hits[i] = leads_somewhere(bytes[first + i - 1], bytes[first + i - 2]) ? 1 : 0;
        }
        for (std::size_t word = 0; word < kBlock; word += kWord) {
            static_assert(std::endian::native == std::endian::little);  // the lowest byte is the first
            for (auto eight = load<std::uint64_t>(hits.data() + word); eight != 0; eight &= eight - 1) {
                try_at(first + word + static_cast<std::size_t>(std::countr_zero(eight)) / CHAR_BIT);
            }
        }
    }
    for (; first < end; ++first) {
        if (leads_somewhere(bytes[first - 1], bytes[first - 2])) try_at(first);
    }
}

std::vector<std::uint64_t> lea_targets(std::span<const std::byte> code, std::uint64_t address) {
    std::vector<std::uint64_t> result;
    constexpr std::size_t kLength = 6;  // from the opcode on
    const std::byte* const begin = code.data();
    for (std::size_t at = 0; at + kLength <= code.size(); ++at) {
        const void* const opcode = std::memchr(begin + at, 0x8D, code.size() - kLength - at + 1);
        if (opcode == nullptr) break;
        at = static_cast<std::size_t>(static_cast<const std::byte*>(opcode) - begin);
        if ((std::to_integer<unsigned>(begin[at + 1]) & 0xC7U) != 0x05) continue;
        result.push_back(address + at + kLength + static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(begin + at + 2)}));
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
    const std::byte* const begin = bytes.data();
    const std::size_t end = bytes.size() - sizeof(Value) + 1;
    Value value = 0;
    for (std::size_t at = 0; at < end; at += kStep) {
        std::memcpy(&value, begin + at, sizeof value);
        if (!intervals.is_near(value)) continue;
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
