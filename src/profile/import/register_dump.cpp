// The common dump format, over twenty years of tools:
//     CPUID 00000000: 00000016-756E6547-6C65746E-49656E69 [GenuineIntel]
//     CPUID 0000000D: 00000207-00000340-00000A88-00000000 [SL 00] [x87]
//     CPUID 00000000  <tab>00000005-68747541-444D4163-69746E65
// Between the lines stand headings ("------[ CPUID Registers / Logical CPU #0 ]------", "CPU#000 AffMask: ...",
// "CPUID Registers (CPU #1):"), MSRs, caches, clocks: all of it is skipped. A heading sometimes follows the last
// value without a line end, and notes in brackets hold anything. So a line counts by its beginning.
#include "profile/import/register_dump.h"

#include <fmt/format.h>

#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

constexpr std::string_view kPrefix = "CPUID ";

bool is_leaf_line(std::string_view line) {
    if (!line.starts_with(kPrefix)) return false;
    line.remove_prefix(kPrefix.size());
    return take_hex8(line).has_value();
}

struct Answer {
    std::uint32_t leaf = 0;
    std::optional<std::uint32_t> subleaf;
    arch::CpuidRegisters registers;
    std::string_view rest;
};

std::string parse(std::string_view line, Answer& answer) {
    line.remove_prefix(kPrefix.size());
    answer.leaf = take_hex8(line).value_or(0);
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(": \t")));
    for (const auto which :
         {arch::Register::eax, arch::Register::ebx, arch::Register::ecx, arch::Register::edx}) {
        if (which != arch::Register::eax) {
            if (!line.starts_with('-')) return "cut or damaged line: expected EAX-EBX-ECX-EDX";
            line.remove_prefix(1);
        }
        const auto value = take_hex8(line);
        if (!value) return "cut or damaged line: expected eight hexadecimal digits";
        answer.registers.set(which, *value);
    }
    answer.rest = line;
    if (const auto mark = line.find("[SL "); mark != std::string_view::npos) {
        const auto end = line.find(']', mark);
        const auto digits = end == std::string_view::npos ? "" : trim(line.substr(mark + 4, end - mark - 4));
        const auto value = parse_hex(digits);
        if (!value || *value > 0xffffU) return "not a subleaf number";
        answer.subleaf = static_cast<std::uint32_t>(*value);
    }
    return {};
}

// The number after "CPU #" or "CPU#", if this is a heading of a CPU's values.
bool is_heading(std::string_view text, std::optional<std::uint64_t>& number) {
    if (text.find("MSR") != std::string_view::npos) return false;
    auto at = text.find("CPU #");
    std::size_t skip = 5;
    if (at == std::string_view::npos) {
        at = text.find("CPU#");
        skip = 4;
    }
    if (at == std::string_view::npos) return false;
    auto digits = text.substr(at + skip);
    digits = digits.substr(0, std::min(digits.size(), digits.find_first_not_of("0123456789")));
    number = parse_decimal(digits);
    return number.has_value();
}

}  // namespace

bool has_register_dump(std::string_view text) {
    Lines lines(text);
    for (std::string_view line; lines.next(line) && lines.number() <= 2000;) {
        Answer answer;
        if (is_leaf_line(line) && parse(line, answer).empty()) return true;
    }
    return false;
}

Result<NodeProfile> read_register_dump(std::string_view text, const std::string& name, std::string origin) {
    RawBuilder builder(name);
    Lines lines(text);
    for (std::string_view line; lines.next(line);) {
        std::optional<std::uint64_t> number;
        if (!is_leaf_line(line)) {
            if (is_heading(line, number)) {
                if (auto begun = builder.begin_cpu(lines.number(), number); !begun) {
                    return std::unexpected(begun.error());
                }
            }
            continue;
        }
        Answer answer;
        if (auto why = parse(line, answer); !why.empty()) return refuse(name, lines.number(), std::move(why));
        // Files put together by hand lack headings: leaf 0 comes first, so a second one is another CPU.
        if (answer.leaf == 0 && builder.has(0)) {
            if (auto begun = builder.begin_cpu(lines.number()); !begun) return std::unexpected(begun.error());
        }
        const auto added =
            answer.subleaf ? builder.add(lines.number(), {answer.leaf, *answer.subleaf}, answer.registers)
                           : builder.add_unnumbered(lines.number(), answer.leaf, answer.registers);
        if (!added) return std::unexpected(added.error());
        if (is_heading(answer.rest, number)) {
            if (auto begun = builder.begin_cpu(lines.number(), number); !begun) return std::unexpected(begun.error());
        }
    }
    return builder.finish(std::move(origin));
}

}  // namespace cpulevel::profile::import
