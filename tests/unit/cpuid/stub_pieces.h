// Pieces of code around a CPUID and tables to answer it, for tests of stub areas.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cpuid/flat_table.h"
#include "cpuid/patch.h"
#include "example_cpus.h"
#include "level/expression.h"

namespace cpulevel::cpuid {

using Bytes = std::vector<std::byte>;

inline constexpr std::size_t kPage = 4096;
inline constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;

inline Bytes bytes(std::initializer_list<int> values) {
    Bytes result;
    for (const int value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

// A piece of code around a CPUID, independent of where it lies until it is placed.
struct Piece {
    struct Operand {
        std::uint8_t displacement, instruction_end;
        std::uint32_t data_offset;
    };
    Bytes code = bytes({0x0f, 0xa2});
    std::vector<Operand> operands{};

    [[nodiscard]] SitePatch placed(std::uint64_t site, std::uint64_t data) const {
        SitePatch patch;
        patch.length = static_cast<std::uint8_t>(code.size());
        patch.operand_count = static_cast<std::uint8_t>(operands.size());
        std::ranges::copy(code, patch.original.begin());
        for (std::size_t i = 0; i < operands.size(); ++i) {
            const auto [displacement, end, offset] = operands[i];
            patch.operands[i] = {.displacement = displacement, .instruction_end = end};
            const auto value = static_cast<std::int32_t>(data + offset - (site + end));
            std::memcpy(&patch.original[displacement], &value, sizeof value);
        }
        return patch;
    }
};

struct NamedTable {
    std::string name;
    Bytes bytes;
};

inline NamedTable table_of(std::string name, const arch::CpuidDump& host, std::string_view level) {
    auto built = level.empty() ? level_of_node(host) : *level::parse_level(level, arch::Architecture::x86_64);
    return {std::move(name), flatten(VirtualCpuid::build(built, host))};
}

}  // namespace cpulevel::cpuid
