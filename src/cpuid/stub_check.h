// Stub areas found in a process, for who takes a process up that was levelled before. They are memory of that process,
// which may have written anything there: an area or a stub is believed only if it is byte for byte what stub_area.h
// would write. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cpuid/patch.h"
#include "cpuid/stub_area.h"

namespace cpulevel::cpuid {

struct FoundArea {
    std::size_t table_size = 0;      // bytes, of the table that is there
    std::size_t routine_offset = 0;  // of the lookup routine
    std::size_t file_count = 0;      // where the count of files that need no stop is, a 32-bit word (known_files.h)
    bool has_live_rows = false;      // FlatHeader::live_at is not 0
    bool same_table = false;         // the table is the one that was asked for (fitted_table() of it)
};

// The table grown to `size` bytes by entries that answer nothing, to be written over one of that size; nothing if it is
// larger already, or no whole number of entries is missing.
[[nodiscard]] std::optional<std::vector<std::byte>> fitted_table(std::span<const std::byte> table, std::size_t size);

// `area` begins where an area might begin, and may be longer. Nothing if table or routine are not ours.
[[nodiscard]] std::optional<FoundArea> inspect_stub_area(std::span<const std::byte> area,
                                                         std::span<const std::byte> table);

// Is what begins at `stub` (bytes of the area from the jump's target on) the stub of this site?
[[nodiscard]] bool is_stub_of(const PlacedPatch& site, std::span<const std::byte> stub, std::uint64_t stub_address,
                              std::uint64_t routine_address);

}  // namespace cpulevel::cpuid
