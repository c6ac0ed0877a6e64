#include "cpuid/byte_search.h"

#include <algorithm>

#include "cpuid/lanes.h"

namespace cpulevel::cpuid {

// memchr for either byte stops every few dozen bytes of code; the pair stands in one block of hundreds.
std::vector<std::size_t> find_byte_pairs(std::span<const std::byte> bytes, std::byte first, std::byte second) {
    std::vector<std::size_t> found;
    if (bytes.size() < 2) return found;
    constexpr std::size_t kBlock = 128;
    const std::byte* const at = bytes.data();
    const auto one = std::to_integer<std::uint8_t>(first);
    const auto two = std::to_integer<std::uint8_t>(second);
    const auto pairs = [&](std::size_t i) {
        return Bytes16(load_lanes<Bytes16>(at + i) == one) & Bytes16(load_lanes<Bytes16>(at + i + 1) == two);
    };
    const std::size_t end = bytes.size() - 1;  // of where a pair can begin
    for (std::size_t block = 0; block < end; block += kBlock) {
        const std::size_t block_end = std::min(block + kBlock, end);
        if (block_end - block == kBlock) {
            Bytes16 any{};
            for (std::size_t i = block; i < block_end; i += 2 * kLaneBytes) {
                any |= (pairs(i) | pairs(i + kLaneBytes));
            }
            if (!any_lane(any)) continue;
        }
        for (std::size_t i = block; i < block_end; ++i) {
            if (at[i] == first && at[i + 1] == second) found.push_back(i);
        }
    }
    return found;
}

}  // namespace cpulevel::cpuid
