#include "cpuid/arrivals.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "cpuid/bucket_sort.h"
#include "cpuid/lanes.h"

namespace cpulevel::cpuid {
namespace {

template <class T>
T load(const void* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// LEA of an address relative to RIP, by its opcode and its ModRM; see below.
template <class Bytes>
auto takes_address(Bytes modrm, Bytes opcode) {
    return (opcode == 0x8D) & ((modrm & 0xC7) == 0x05);
}

// What a 32-bit displacement belongs to, by the two bytes before it (Intel SDM volume 2, appendix A): for one place, or for
// sixteen of them, whose answers are all ones or zero then.
template <class Bytes>
auto leads_somewhere(Bytes before, Bytes before_that) {
    const auto call_or_jump = (before & 0xFE) == 0xE8;  // E8, E9
    const auto conditional = (before_that == 0x0F) & ((before & 0xF0) == 0x80);
    const auto xbegin = (before_that == 0xC7) & (before == 0xF8);
    return call_or_jump | conditional | xbegin | takes_address(before, before_that);
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
    find_clusters();
}

void Intervals::find_clusters() {
    constexpr std::uint64_t kRoom = 0x8000, kMostSize = 0x100000;
    constexpr std::size_t kMost = 3;
    for (const Interval& each : intervals_) {
        if (clusters_.empty() || each.begin - clusters_.back().end > kRoom) clusters_.push_back(each);
        clusters_.back().end = each.end;
        if (clusters_.size() <= kMost && each.end - clusters_.back().begin <= kMostSize) continue;
        return clusters_.clear();
    }
}

std::optional<std::size_t> Intervals::search(std::uint64_t address) const {
    const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), address,
                                        [](std::uint64_t value, const Interval& each) { return value < each.begin; });
    if (after == intervals_.begin() || address >= std::prev(after)->end) return std::nullopt;
    return static_cast<std::size_t>(std::prev(after) - intervals_.begin());
}

bool Intervals::search(std::uint64_t first, std::uint64_t last) const {
    const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), last,
                                        [](std::uint64_t value, const Interval& each) { return value < each.begin; });
    return after != intervals_.begin() && std::prev(after)->end > first;
}

namespace {

// Loops over every byte of programs of a hundred megabytes pass over most of it in blocks, for which a few comparisons say that
// nothing in them can lead to an interval.
constexpr std::size_t kBlock = 128;
constexpr std::size_t kValue = sizeof(std::uint32_t);
constexpr std::uint64_t kMostSpan = std::uint64_t{1} << 31U;  // so that 32 bits can tell outside from inside

// Whether one of the values at the kBlock places from `at` on, each of 32 bits, may be in [low, low + above], by its upper half.
bool may_hold(const std::byte* at, std::uint32_t low, std::uint32_t above) {
    constexpr unsigned kHalf = 16;
    const auto first = static_cast<std::uint16_t>(low >> kHalf);
    const auto more = static_cast<std::uint16_t>(static_cast<std::uint16_t>((low + above) >> kHalf) - first);
    Halves8 any{};
    for (std::size_t lane = 2; lane < kBlock; lane += kLaneBytes) {
        any |= Halves8((load_lanes<Halves8>(at + lane) - first) <= more);      // of the values at even places
        any |= Halves8((load_lanes<Halves8>(at + lane + 1) - first) <= more);  // and at odd ones
    }
    return any_lane(any);
}

// The same with the clusters, and values that count from `origin`.
bool may_lead_to(std::span<const Intervals::Interval> clusters, const std::byte* at, std::uint64_t origin, std::uint64_t tolerance) {
    return std::ranges::any_of(clusters, [&](const Intervals::Interval& each) {
        return may_hold(at, static_cast<std::uint32_t>(each.begin - origin - tolerance),
                        static_cast<std::uint32_t>(each.end - 1 - each.begin + tolerance));
    });
}

}  // namespace

void find_long_arrivals(std::span<const std::byte> code, std::uint64_t address, const Intervals& intervals,
                        const OnArrival& arrival) {
    if (intervals.empty() || code.size() < 5) return;
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(code.data());
    const auto try_at = [&](std::size_t at) {  // of a displacement
        const auto displacement = static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(bytes + at)});
        const std::uint64_t target = address + at + sizeof(std::int32_t) + displacement;
        if (!intervals.is_near(target)) return;
        if (const auto index = intervals.find(target)) arrival(*index, target);
    };
    const auto try_sixteen = [&](std::size_t first) {
        for_each_lane(leads_somewhere(load_lanes<Bytes16>(bytes + first - 1), load_lanes<Bytes16>(bytes + first - 2)),
                      [&](std::size_t lane) { try_at(first + lane); });
    };
    if (leads_somewhere<unsigned>(bytes[0], 0) != 0) try_at(1);
    const std::size_t end = code.size() - kValue + 1;
    const auto clusters = intervals.clusters();
    std::size_t first = 2;
    for (; first + kBlock <= end; first += kBlock) {
        // Displacements in a block count from up to kBlock - 1 bytes behind the first one's end.
        if (!clusters.empty() && !may_lead_to(clusters, code.data() + first, address + first + kValue, kBlock - 1)) continue;
        for (std::size_t part = 0; part < kBlock; part += kLaneBytes) try_sixteen(first + part);
    }
    for (; first < end; ++first) {
        if (leads_somewhere<unsigned>(bytes[first - 1], bytes[first - 2]) != 0) try_at(first);
    }
}

std::vector<std::uint64_t> lea_targets(std::span<const std::byte> code, std::uint64_t address) {
    std::vector<std::uint64_t> result;
    constexpr std::size_t kLength = 6;  // from the opcode on
    constexpr std::size_t kUsual = 64;  // bytes of code for each, or more
    result.reserve(code.size() / kUsual);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(code.data());
    const auto add = [&](std::size_t at) {
        const auto displacement = static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(bytes + at + 2)});
        result.push_back(address + at + kLength + displacement);
    };
    std::size_t at = 0;
    for (; at + kLaneBytes + kLength <= code.size(); at += kLaneBytes) {
        for_each_lane(takes_address(load_lanes<Bytes16>(bytes + at + 1), load_lanes<Bytes16>(bytes + at)),
                      [&](std::size_t lane) { add(at + lane); });
    }
    for (; at + kLength <= code.size(); ++at) {
        if (takes_address<unsigned>(bytes[at + 1], bytes[at]) != 0) add(at);
    }
    bucket_sort(result, [](std::uint64_t target) { return target; });
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

// At every kStep'th byte of [begin, end).
template <class Value, std::size_t kStep>
void find_values(std::span<const std::byte> bytes, std::size_t begin, std::size_t end, const Intervals& intervals,
                 const OnArrival& arrival) {
    for (std::size_t at = begin; at < end; at += kStep) {
        const auto value = load<Value>(bytes.data() + at);
        if (!intervals.is_near(value)) continue;
        if (const auto index = intervals.find(value)) arrival(*index, value);
    }
}

// Which values are in [low, low + above].
Words4 within(Words4 values, std::uint32_t low, std::uint32_t above) { return Words4((values - low) <= above); }

}  // namespace

void find_pointers(std::span<const std::byte> bytes, const Intervals& intervals, const OnArrival& arrival) {
    constexpr std::size_t kStep = 4;
    if (intervals.empty() || bytes.size() < sizeof(std::uint64_t)) return;
    const std::size_t end = bytes.size() - sizeof(std::uint64_t) + 1;
    std::size_t at = 0;
    const std::uint64_t low = intervals.low();
    const std::uint64_t high_half = low >> 32U;
    if ((low + (intervals.span() - 1)) >> 32U == high_half) {  // so it is the same in all pointers that matter
        const auto low_half = static_cast<std::uint32_t>(low);
        const auto above = static_cast<std::uint32_t>(intervals.span() - 1);
        const auto half = static_cast<std::uint32_t>(high_half);
        for (; at + kBlock + kStep <= bytes.size(); at += kBlock) {
            Words4 any{};
            for (std::size_t lane = at; lane < at + kBlock; lane += kLaneBytes) {
                const auto values = load_lanes<Words4>(bytes.data() + lane);
                any |= within(values, low_half, above) & Words4(load_lanes<Words4>(bytes.data() + lane + kStep) == half);
            }
            if (any_lane(any)) find_values<std::uint64_t, kStep>(bytes, at, at + kBlock, intervals, arrival);
        }
    }
    find_values<std::uint64_t, kStep>(bytes, at, end, intervals, arrival);
}

void find_immediates(std::span<const std::byte> code, const Intervals& intervals, const OnArrival& arrival) {
    if (intervals.empty() || code.size() < kValue) return;
    const std::size_t end = code.size() - kValue + 1;
    const std::array<Intervals::Interval, 1> all{{{intervals.low(), intervals.low() + intervals.span()}}};
    const auto clusters = intervals.clusters().empty() ? std::span<const Intervals::Interval>(all) : intervals.clusters();
    std::size_t at = 0;
    for (; intervals.span() < kMostSpan && at + kBlock <= end; at += kBlock) {
        if (may_lead_to(clusters, code.data() + at, 0, 0)) find_values<std::uint32_t, 1>(code, at, at + kBlock, intervals, arrival);
    }
    find_values<std::uint32_t, 1>(code, at, end, intervals, arrival);
}

}  // namespace cpulevel::cpuid
