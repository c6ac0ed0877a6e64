// Raw CPUID as plain numbers, "leaf, subleaf, eax, ebx, ecx, edx", decimal or 0x: what archspec records on Windows and what
// a few lines of anybody's C print. One CPU; a second leaf 0 begins another.
#include <array>

#include "profile/import/format.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

bool numbers_of(std::string_view line, std::array<std::uint32_t, 6>& numbers) {
    const auto parts = split(line, ',');
    if (parts.size() != numbers.size()) return false;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto value = parse_number(trim(parts[i]));
        if (!value || *value > 0xffffffffU) return false;
        numbers.at(i) = static_cast<std::uint32_t>(*value);
    }
    return true;
}

bool recognises(std::string_view text) {
    Lines lines(text);
    std::array<std::uint32_t, 6> numbers{};
    for (std::string_view line; lines.next(line) && lines.number() <= 20;) {
        if (!trim(line).empty()) return numbers_of(line, numbers);
    }
    return false;
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    RawBuilder builder(name);
    Lines lines(text);
    for (std::string_view line; lines.next(line);) {
        if (trim(line).empty()) continue;
        std::array<std::uint32_t, 6> n{};
        if (!numbers_of(line, n)) {
            return refuse(name, lines.number(), "expected six 32-bit numbers: leaf, subleaf, eax, ebx, ecx, edx");
        }
        if (n[0] == 0 && n[1] == 0 && builder.has(0)) {
            if (auto begun = builder.begin_cpu(lines.number()); !begun) return std::unexpected(begun.error());
        }
        if (auto added = builder.add(lines.number(), {n[0], n[1]}, {n[2], n[3], n[4], n[5]}); !added) {
            return std::unexpected(added.error());
        }
    }
    return builder.finish("CPUID numbers");
}

}  // namespace

extern const Format kCpuidNumbers{"numbers", "raw CPUID as lines \"leaf, subleaf, eax, ebx, ecx, edx\"", recognises,
                                  one_node<read>};

}  // namespace cpulevel::profile::import
