// `cpuid -r` (Todd Allen's cpuid, the Debian package), for all CPUs or one (-1):
//     CPU 0:
//        0x00000000 0x00: eax=0x0000001c ebx=0x68747541 ecx=0x444d4163 edx=0x69746e65
// The same layout comes from `cpuid -r -f` replays and, headed "CPU:", from `cpuid -1 -r`.
#include <fmt/format.h>

#include <array>

#include "profile/import/format.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

constexpr std::string_view kOrigin = "cpuid -r";

bool is_register_line(std::string_view line) {
    line = trim(line);
    return line.starts_with("0x") && line.find(": eax=0x") != std::string_view::npos;
}

bool recognises(std::string_view text) {
    Lines lines(text);
    std::string_view line;
    while (lines.next(line) && lines.number() <= 50) {
        if (is_register_line(line)) return true;
    }
    return false;
}

// "CPU 12:" or "CPU:"; the number, or nothing in the second case.
bool is_heading(std::string_view line, std::optional<std::uint64_t>& number) {
    line = trim(line);
    if (!line.starts_with("CPU") || !line.ends_with(':')) return false;
    const auto digits = trim(line.substr(3, line.size() - 4));
    number = parse_decimal(digits);
    return digits.empty() || number;
}

// "0x00000007 0x00: eax=0x... ebx=0x... ecx=0x... edx=0x..."; why not, if it is damaged.
std::string parse_registers(std::string_view line, arch::CpuidKey& key, arch::CpuidRegisters& registers) {
    const auto colon = line.find(':');
    const auto head = trim(line.substr(0, colon));
    const auto space = head.find_first_of(" \t");
    if (space == std::string_view::npos) return "expected a leaf and a subleaf before the colon";
    const auto leaf = parse_hex(head.substr(0, space)), subleaf = parse_hex(trim(head.substr(space)));
    if (!leaf || !subleaf || *leaf > 0xffffffffU || *subleaf > 0xffffffffU) return "not a leaf and a subleaf";
    key = {static_cast<std::uint32_t>(*leaf), static_cast<std::uint32_t>(*subleaf)};
    std::string_view rest = line.substr(colon + 1);
    using arch::Register;
    constexpr std::array<std::pair<std::string_view, Register>, 4> kNames{{
        {"eax=0x", Register::eax}, {"ebx=0x", Register::ebx}, {"ecx=0x", Register::ecx}, {"edx=0x", Register::edx}}};
    for (const auto& [name, which] : kNames) {
        rest = rest.substr(std::min(rest.size(), rest.find_first_not_of(" \t")));
        if (!rest.starts_with(name)) return fmt::format("expected {}XXXXXXXX", name);
        rest.remove_prefix(name.size());
        const auto value = take_hex8(rest);
        if (!value) return fmt::format("expected eight hexadecimal digits after {}", name);
        registers.set(which, *value);
    }
    if (!trim(rest).empty()) return "unexpected text after edx";
    return {};
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    RawBuilder builder(name);
    Lines lines(text);
    for (std::string_view line; lines.next(line);) {
        if (trim(line).empty()) continue;
        if (std::optional<std::uint64_t> number; is_heading(line, number)) {
            if (auto begun = builder.begin_cpu(lines.number(), number); !begun) return std::unexpected(begun.error());
            continue;
        }
        if (!is_register_line(line)) {
            // Messages of the tool (a missing module, a failed CPU) end up in files; a cut line must not pass as one.
            if (trim(line).starts_with("0x")) return refuse(name, lines.number(), "cut or damaged line");
            continue;
        }
        arch::CpuidKey key;
        arch::CpuidRegisters registers;
        if (auto why = parse_registers(line, key, registers); !why.empty()) {
            return refuse(name, lines.number(), std::move(why));
        }
        if (key.leaf == 0 && key.subleaf == 0 && builder.has(0)) {
            if (auto begun = builder.begin_cpu(lines.number()); !begun) return std::unexpected(begun.error());
        }
        if (auto added = builder.add(lines.number(), key, registers); !added) return std::unexpected(added.error());
    }
    return builder.finish(std::string(kOrigin));
}

}  // namespace

extern const Format kCpuidTool{"cpuid", "raw output of cpuid(1): cpuid -r", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
