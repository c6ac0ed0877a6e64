// Two bytes side by side in megabytes of code, where they are rare. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace cpulevel::cpuid {

// Where `first` stands with `second` behind it, ascending.
[[nodiscard]] std::vector<std::size_t> find_byte_pairs(std::span<const std::byte> bytes, std::byte first, std::byte second);

}  // namespace cpulevel::cpuid
