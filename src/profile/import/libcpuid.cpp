// libcpuid: `cpuid_tool --save` raw files, and its test files, where a line of dashes divides the raw values from
// what they decode to. Raw values are InstLatx64 lines or libcpuid's own:
//     basic_cpuid[1]=00100f63 01020800 00802009 178bfbff     leaf 1
//     ext_cpuid[1]=...                                       leaf 0x80000001
//     intel_fn4[2]=..., intel_fn11[0]=, intel_fn12h[0]=, intel_fn14h[0]=, amd_fn8000001dh[0]=    subleaves
// The array always has 32 entries; those above the CPU's maximum leaf are padding.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/arm_identity.h"
#include "profile/import/arm_registers.h"
#include "profile/import/register_dump.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

struct Array {
    std::string_view name;
    std::uint32_t first_leaf;
    bool index_is_subleaf;
};
constexpr std::array kArrays{
    Array{"basic_cpuid", 0, false},      Array{"ext_cpuid", 0x80000000, false},
    Array{"intel_fn4", 4, true},         Array{"intel_fn11", 0xb, true},
    Array{"intel_fn12h", 0x12, true},    Array{"intel_fn14h", 0x14, true},
    Array{"amd_fn8000001dh", 0x8000001d, true},
};
constexpr std::uint64_t kMostIndex = 63;

bool is_divider(std::string_view line) {
    line = trim(line);
    return line.size() >= 40 && line.find_first_not_of('-') == std::string_view::npos;
}

std::string_view raw_part(std::string_view text) {
    Lines lines(text);
    for (std::string_view line; lines.next(line);) {
        if (is_divider(line)) return text.substr(0, static_cast<std::size_t>(line.data() - text.data()));
    }
    return text;
}

bool has_own_lines(std::string_view text) {
    return text.find("basic_cpuid[") != std::string_view::npos || text.find("\narm_midr=") != std::string_view::npos ||
           text.starts_with("arm_midr=");
}

bool recognises(std::string_view text) {
    const auto raw = raw_part(text);
    return has_own_lines(raw.substr(0, std::min<std::size_t>(raw.size(), 1U << 16U))) ||
           (raw.size() != text.size() && has_register_dump(raw));
}

std::string parse(std::string_view line, const Array& array, arch::CpuidKey& key, arch::CpuidRegisters& registers) {
    line.remove_prefix(array.name.size() + 1);
    const auto bracket = line.find("]=");
    if (bracket == std::string_view::npos) return "expected NAME[index]=EAX EBX ECX EDX";
    const auto index = parse_decimal(line.substr(0, bracket));
    if (!index || *index > kMostIndex) return fmt::format("not an index from 0 to {}", kMostIndex);
    const auto number = static_cast<std::uint32_t>(*index);
    key = array.index_is_subleaf ? arch::CpuidKey{array.first_leaf, number}
                                 : arch::CpuidKey{array.first_leaf + number, 0};
    std::string_view rest = line.substr(bracket + 2);
    for (const auto which :
         {arch::Register::eax, arch::Register::ebx, arch::Register::ecx, arch::Register::edx}) {
        rest = rest.substr(std::min(rest.size(), rest.find_first_not_of(" \t")));
        const auto value = take_hex8(rest);
        if (!value) return "cut or damaged line: expected four times eight hexadecimal digits";
        registers.set(which, *value);
    }
    return trim(rest).empty() ? "" : "unexpected text after the fourth value";
}

Result<NodeProfile> read_own(std::string_view raw, const std::string& name) {
    RawBuilder builder(name);
    std::uint32_t last_basic = 0, last_extended = 0;
    Lines lines(raw);
    for (std::string_view line; lines.next(line);) {
        line = trim(line);
        const auto array = std::ranges::find_if(kArrays, [&](const Array& candidate) {
            return line.starts_with(candidate.name) && line.substr(candidate.name.size()).starts_with('[');
        });
        if (array == kArrays.end()) continue;  // "version=", "build_date=", headings
        arch::CpuidKey key;
        arch::CpuidRegisters registers;
        if (auto why = parse(line, *array, key, registers); !why.empty()) {
            return refuse(name, lines.number(), std::move(why));
        }
        if (key.leaf == 0) {
            if (builder.has(0)) {
                if (auto begun = builder.begin_cpu(lines.number()); !begun) return std::unexpected(begun.error());
            }
            last_basic = registers.eax;
            last_extended = 0;
        }
        if (key.leaf == 0x80000000) last_extended = registers.eax;
        const bool extended = key.leaf >= 0x80000000;
        if (key.leaf != 0 && key.leaf != 0x80000000 && key.leaf > (extended ? last_extended : last_basic)) continue;
        if (auto added = builder.add(lines.number(), key, registers); !added) return std::unexpected(added.error());
    }
    return builder.finish("libcpuid");
}

// "arm_id_aa64isar0=...", CPU by CPU. What the processor has; the kernel may know less of it.
Result<NodeProfile> read_arm(std::string_view raw, const std::string& name) {
    NodeProfile profile;
    profile.name = printable(name);
    profile.origin = "libcpuid";
    profile.architecture = arch::Architecture::aarch64;
    ArmRegisters registers;
    std::uint64_t midr = 0;
    bool any = false, has64 = false;
    const auto close_cpu = [&] {
        if (registers.empty()) return;
        const ArmFeatures of_cpu = features_of(registers);
        profile.features = any ? profile.features & of_cpu.features : of_cpu.features;
        profile.known = any ? profile.known & of_cpu.known : of_cpu.known;
        profile.features &= profile.known;
        any = true;
        registers.clear();
    };
    Lines lines(raw);
    for (std::string_view line; lines.next(line);) {
        line = trim(line);
        const auto equals = line.find('=');
        if (!line.starts_with("arm_") || equals == std::string_view::npos) continue;
        const auto key = line.substr(4, equals - 4);
        const auto digits = trim(line.substr(equals + 1));
        const auto value = parse_hex(digits);
        if (!value) return refuse(name, lines.number(), "cut or damaged line: expected hexadecimal digits");
        if (key == "midr") {
            close_cpu();
            if (midr == 0) midr = *value;
        }
        if (!key.starts_with("id_aa64")) continue;
        // Fewer would be another value.
        if (digits.size() != 16) return refuse(name, lines.number(), "cut or damaged line: expected 16 hexadecimal digits");
        has64 = has64 || *value != 0;
        registers.insert_or_assign(std::string(key), *value);
        if (registers.size() > 256) return refuse(name, lines.number(), "absurdly many registers");
    }
    close_cpu();
    if (!any || !has64) {
        return usage_error("cannot import", name, "a 32-bit Arm processor: it has no 64-bit ID registers");
    }
    profile.identity = arm_identity(midr);
    profile.notes.emplace_back("made from ID registers, which tell what the processor has: an older kernel may show programs "
                               "less. The HWCAP words, the kernel, CTR_EL0, DCZID_EL0, the page size, the SVE vector length "
                               "and AT_MINSIGSTKSZ are not known");
    profile.notes.push_back(fmt::format("{} features of which no register here tells are unknown",
                                        (arch::table(profile.architecture).all() - profile.known).size()));
    return profile;
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    const auto raw = raw_part(text);
    if (raw.find("arm_midr=") != std::string_view::npos) return read_arm(raw, name);
    if (has_own_lines(raw)) return read_own(raw, name);
    return read_register_dump(raw, name, "libcpuid");
}

}  // namespace

extern const Format kLibcpuid{"libcpuid", "libcpuid raw dump (cpuid_tool --save)", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
