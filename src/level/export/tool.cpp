#include "level/export/tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "util/text.h"

namespace cpulevel::level {

std::optional<Version> parse_version(std::string_view text) {
    const auto parts = split(text, '.');
    std::array<std::uint16_t, 3> numbers{};
    if (parts.size() > numbers.size()) return std::nullopt;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto number = parse_decimal(parts[i]);
        if (!number || *number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
        numbers[i] = static_cast<std::uint16_t>(*number);
    }
    const Version version{numbers[0], numbers[1], numbers[2]};
    if (version == Version{}) return std::nullopt;
    return version;
}

std::string to_text(Version version) {
    if (version.patch != 0) return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
    return version.minor != 0 ? fmt::format("{}.{}", version.major, version.minor) : fmt::format("{}", version.major);
}

const Tool* find_tool(std::string_view name, arch::Architecture architecture) {
    const auto all = tools();
    const auto found = std::ranges::find_if(
        all, [&](const Tool& tool) { return tool.name == name && tool.architecture == architecture; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace cpulevel::level
