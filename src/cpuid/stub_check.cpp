#include "cpuid/stub_check.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "cpuid/flat_table.h"
#include "cpuid/lookup_routine.h"

namespace cpulevel::cpuid {

std::optional<std::vector<std::byte>> fitted_table(std::span<const std::byte> table, std::size_t size) {
    const auto view = FlatTable::view(table);
    if (!view || view->header().size != table.size() || size < table.size()) return std::nullopt;
    const std::size_t missing = size - table.size();
    if (missing % sizeof(FlatEntry) != 0) return std::nullopt;
    FlatHeader header = view->header();
    header.size = static_cast<std::uint32_t>(size);
    header.entry_count += static_cast<std::uint32_t>(missing / sizeof(FlatEntry));
    FlatEntry nothing;  // zeros for a leaf that is beyond every other one's: sorted last, and as good as not there
    nothing.leaf = ~std::uint32_t{0};
    nothing.match = FlatEntry::kAnySubleaf;
    std::vector<std::byte> fitted(table.begin(), table.end());
    std::memcpy(fitted.data(), &header, sizeof header);
    for (std::size_t i = 0; i < missing / sizeof nothing; ++i) {
        const auto bytes = std::as_bytes(std::span(&nothing, 1));
        fitted.insert(fitted.end(), bytes.begin(), bytes.end());
    }
    return fitted;
}

std::optional<FoundArea> inspect_stub_area(std::span<const std::byte> area, std::span<const std::byte> table) {
    const auto view = FlatTable::view(area);
    const LookupRoutine routine = lookup_routine();
    if (!view || routine.code.empty()) return std::nullopt;
    constexpr std::size_t kAlignment = 16;
    FoundArea found;
    found.table_size = view->header().size;
    found.routine_offset = (found.table_size + kAlignment - 1) / kAlignment * kAlignment;
    if (found.routine_offset > area.size() || area.size() - found.routine_offset < routine.code.size())
        return std::nullopt;

    constexpr std::size_t kDisplacement = 4;
    const auto code = area.subspan(found.routine_offset, routine.code.size());
    const std::size_t behind = routine.table_displacement + kDisplacement;
    std::int32_t displacement = 0;
    std::memcpy(&displacement, &code[routine.table_displacement], kDisplacement);
    const bool same_code =
        std::ranges::equal(code.first(routine.table_displacement), routine.code.first(routine.table_displacement)) &&
        std::ranges::equal(code.subspan(behind), routine.code.subspan(behind));
    const bool leads_to_table = displacement == -static_cast<std::int64_t>(found.routine_offset + behind);
    if (!same_code || !leads_to_table) return std::nullopt;
    found.file_count = found.routine_offset + routine.code.size() + offsetof(KnownFiles::Header, count);
    found.has_live_rows = view->header().live_at != 0;
    auto wanted = fitted_table(table, found.table_size);
    if (!wanted) return found;
    const std::uint32_t live_at = view->header().live_at;
    std::memcpy(&(*wanted)[offsetof(FlatHeader, live_at)], &live_at, sizeof live_at);
    found.same_table = std::ranges::equal(area.first(found.table_size), *wanted);
    return found;
}

bool is_stub_of(const PlacedPatch& site, std::span<const std::byte> stub, std::uint64_t stub_address,
                std::uint64_t routine_address) {
    const auto expected = site_stub(stub_address, routine_address, site);
    return expected && stub.size() >= expected->size() && std::ranges::equal(stub.first(expected->size()), *expected);
}

}  // namespace cpulevel::cpuid
