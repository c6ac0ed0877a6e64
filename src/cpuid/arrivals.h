// A superset of what can lead to chosen bytes of a program, from the raw bytes of its file: no decode, so nothing is
// missed because it was not decoded. patch_finder.h says why. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace cpulevel::cpuid {

// Disjoint address intervals, each with its index in the list that they were made from.
class Intervals {
   public:
    struct Interval {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;  // exclusive
    };
    // Sorted by begin and disjoint; empty ones are not allowed.
    explicit Intervals(std::vector<Interval> intervals);

    [[nodiscard]] bool empty() const { return intervals_.empty(); }
    [[nodiscard]] std::optional<std::size_t> find(std::uint64_t address) const {
        return is_near(address) ? search(address) : std::nullopt;
    }
    // False: in none of them. For loops over millions of addresses.
    [[nodiscard]] bool is_near(std::uint64_t address) const {
        const std::uint64_t above_low = address - low_;
        return above_low < span_ && touches_block(above_low >> block_bits_);
    }
    // Whether one of them has an address in [first, last].
    [[nodiscard]] bool touches(std::uint64_t first, std::uint64_t last) const {
        return !empty() && last >= low_ && (first < low_ || first - low_ < span_) && search(first, last);
    }
    // All of them are within [low, low + span).
    [[nodiscard]] std::uint64_t low() const { return low_; }
    [[nodiscard]] std::uint64_t span() const { return span_; }
    // A few stretches that hold all of them, with much room between; empty if they are too scattered for that.
    [[nodiscard]] std::span<const Interval> clusters() const { return clusters_; }

   private:
    [[nodiscard]] std::optional<std::size_t> search(std::uint64_t address) const;
    [[nodiscard]] bool search(std::uint64_t first, std::uint64_t last) const;
    [[nodiscard]] bool touches_block(std::uint64_t block) const {
        return ((blocks_[block / kWordBits] >> (block % kWordBits)) & 1U) != 0;
    }

    static constexpr unsigned kWordBits = 64;
    void find_clusters();

    std::vector<Interval> intervals_;
    std::vector<Interval> clusters_;
    std::uint64_t low_ = 0, span_ = 0;
    // Nearly every address that is asked for lies between the first interval and the last, and in none: a bit for each block
    // of the span says whether an interval touches it.
    unsigned block_bits_ = 6;
    std::vector<std::uint64_t> blocks_;
};

// Called with the index of an interval that is led to, and with the address in it; maybe more than once.
using OnArrival = std::function<void(std::size_t index, std::uint64_t target)>;

// Near branches with 32-bit displacements, calls, XBEGIN, and LEA of a label, at any byte of the code.
void find_long_arrivals(std::span<const std::byte> code, std::uint64_t address, const Intervals& intervals,
                        const OnArrival& arrival);

// What LEA instructions with a RIP-relative address, at any byte of the code, load: label addresses, data and jump tables
// among them. Sorted, without duplicates.
[[nodiscard]] std::vector<std::uint64_t> lea_targets(std::span<const std::byte> code, std::uint64_t address);

// Short branches (8-bit displacements) at any byte of code, except where the opcode stands in [known_begin, known_end):
// there the caller knows better. Of one interval.
[[nodiscard]] bool has_short_arrival(std::span<const std::byte> code, std::uint64_t address,
                                     Intervals::Interval interval, std::uint64_t known_begin, std::uint64_t known_end);

// Absolute 64-bit addresses at multiples of four from the start of `bytes`.
void find_pointers(std::span<const std::byte> bytes, const Intervals& intervals, const OnArrival& arrival);

// Absolute 32-bit addresses at any byte: immediates of code that is not position-independent.
void find_immediates(std::span<const std::byte> code, const Intervals& intervals, const OnArrival& arrival);

}  // namespace cpulevel::cpuid
