// Sixteen bytes of a file at once, in what gcc and clang make of vector types on every architecture: SSE2, which each x86-64 has, NEON
// elsewhere. Nothing wider: a supervisor may go on on a smaller CPU than it started on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cpulevel::cpuid {

inline constexpr std::size_t kLaneBytes = 16;
using Bytes16 = std::uint8_t __attribute__((vector_size(kLaneBytes)));
using Halves8 = std::uint16_t __attribute__((vector_size(kLaneBytes)));
using Words4 = std::uint32_t __attribute__((vector_size(kLaneBytes)));

template <class Lanes>
[[nodiscard]] Lanes load_lanes(const void* at) {
    Lanes lanes;
    std::memcpy(&lanes, at, sizeof lanes);
    return lanes;
}

// The bits of a comparison, whose lanes are all ones or zero; the lowest byte of the first word is the first byte.
template <class Lanes>
[[nodiscard]] std::array<std::uint64_t, 2> lane_bits(Lanes lanes) {
    std::array<std::uint64_t, 2> bits;
    static_assert(sizeof bits == sizeof lanes);
    std::memcpy(bits.data(), &lanes, sizeof bits);
    return bits;
}

template <class Lanes>
[[nodiscard]] bool any_lane(Lanes lanes) {
    const auto bits = lane_bits(lanes);
    return (bits[0] | bits[1]) != 0;
}

}  // namespace cpulevel::cpuid
