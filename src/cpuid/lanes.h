// Sixteen bytes of a file at once, in what gcc and clang make of vector types on every architecture: SSE2, which each x86-64 has, NEON
// elsewhere. Nothing wider: a supervisor may go on on a smaller CPU than it started on.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <climits>
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

// Of a comparison, whose lanes are all ones or zero: whether there is a one, and `each` with the number of each byte that is.
#if defined(__SSE2__)
template <class Lanes>
[[nodiscard]] unsigned lane_mask(Lanes lanes) {
    return static_cast<unsigned>(_mm_movemask_epi8(std::bit_cast<__m128i>(lanes)));
}

template <class Lanes>
[[nodiscard]] bool any_lane(Lanes lanes) {
    return lane_mask(lanes) != 0;
}

template <class Lanes, class Each>
void for_each_lane(Lanes lanes, const Each& each) {
    for (unsigned mask = lane_mask(lanes); mask != 0; mask &= mask - 1) each(static_cast<std::size_t>(std::countr_zero(mask)));
}
#else
template <class Lanes>
[[nodiscard]] bool any_lane(Lanes lanes) {
    const auto eights = std::bit_cast<std::array<std::uint64_t, 2>>(lanes);
    return (eights[0] | eights[1]) != 0;
}

template <class Lanes, class Each>
void for_each_lane(Lanes lanes, const Each& each) {
    constexpr std::uint64_t kOneBitPerByte = 0x0101010101010101;
    static_assert(std::endian::native == std::endian::little);  // the lowest byte is the first
    std::size_t first = 0;
    for (std::uint64_t eight : std::bit_cast<std::array<std::uint64_t, 2>>(lanes)) {
        for (eight &= kOneBitPerByte; eight != 0; eight &= eight - 1) {
            each(first + static_cast<std::size_t>(std::countr_zero(eight)) / CHAR_BIT);
        }
        first += sizeof eight;
    }
}
#endif

}  // namespace cpulevel::cpuid
