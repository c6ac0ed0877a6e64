// What CPUID answers under a level, from the answers of the nodes. Feature bits follow from the level's set, numbers
// from the rule of their field. A bit that the data do not describe is 0: nobody knows what showing it would promise.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "level/meet_parts.h"
#include "level/xsave_area.h"

namespace cpulevel::level {
namespace {

using arch::CpuidDump;
using arch::CpuidField;
using arch::CpuidKey;
using arch::CpuidPlace;
using arch::FeatureId;
using arch::Register;
using Dumps = std::span<const CpuidDump* const>;

constexpr std::uint32_t kXsaveLeaf = 0xD;

std::uint32_t mask_of(const CpuidField& field) {
    const unsigned width = static_cast<unsigned>(field.high - field.low) + 1U;
    const std::uint32_t ones = width >= 32 ? 0xffffffffU : (1U << width) - 1U;
    return ones << field.low;
}

bool covers(const CpuidField& field, const CpuidKey& key) {
    return field.leaf == key.leaf && field.first_subleaf <= key.subleaf && key.subleaf <= field.last_subleaf;
}

bool has_bit(const CpuidDump& dump, const CpuidPlace& place) {
    const auto registers = arch::find(dump, place.leaf, place.subleaf);
    return registers && ((registers->get(place.reg) >> place.bit) & 1U) != 0;
}

void set_bits(CpuidDump& cpuid, const CpuidKey& key, Register reg, std::uint32_t bits) {
    auto& registers = cpuid[key];
    registers.set(reg, registers.get(reg) | bits);
}

// One field at one key, in place; the value of a dump without the leaf is 0, as the CPU answers beyond its maximum.
std::uint32_t combine(const CpuidField& field, const CpuidKey& key, Dumps dumps, const CpuidDump* chosen,
                      std::vector<std::string>& warnings) {
    const std::uint32_t mask = mask_of(field);
    const auto value_in = [&](const CpuidDump& dump) {
        return arch::find(dump, key.leaf, key.subleaf).value_or(arch::CpuidRegisters{}).get(field.reg) & mask;
    };
    switch (field.rule) {
        case arch::Rule::Live:
        case arch::Rule::Never: return 0;
        case arch::Rule::Named: return chosen != nullptr ? value_in(*chosen) : 0;
        default: break;
    }
    if (dumps.empty()) return 0;
    std::uint32_t value = value_in(*dumps.front());
    bool differs = false;
    bool all_have = value != 0;
    for (const CpuidDump* dump : dumps.subspan(1)) {
        const std::uint32_t other = value_in(*dump);
        differs = differs || other != value;
        all_have = all_have && other != 0;
        switch (field.rule) {
            case arch::Rule::And: value &= other; break;
            case arch::Rule::Union: value |= other; break;
            case arch::Rule::Max: value = std::max(value, other); break;
            default: value = std::min(value, other); break;  // Min, and Equal: see below
        }
    }
    if (field.rule == arch::Rule::Equal && differs) {
        // A node with 0 has not what the field describes (no CLFLUSH, no tiles), so nor has the level.
        if (!all_have) return 0;
        warnings.push_back(fmt::format("CPUID leaf {:#x}, {}: the nodes differ; the level shows 0 (unknown)", key.leaf,
                                       field.name));
        return 0;
    }
    return value;
}

void write_features(const arch::FeatureTable& table, const arch::FeatureSet& features, Dumps dumps,
                    CpuidDump& cpuid) {
    features.for_each([&](FeatureId id) {
        const auto places = table[id].cpuid;
        if (places.empty()) return;
        // The defining place always; another place (AMD repeats leaf 1 in 0x80000001) only where every node has it.
        const CpuidPlace& defining = places.front();
        set_bits(cpuid, {defining.leaf, defining.subleaf}, defining.reg, 1U << defining.bit);
        if (dumps.empty()) return;
        for (const CpuidPlace& place : places.subspan(1)) {
            if (std::ranges::all_of(dumps, [&](const CpuidDump* dump) { return has_bit(*dump, place); })) {
                set_bits(cpuid, {place.leaf, place.subleaf}, place.reg, 1U << place.bit);
            }
        }
    });
}

// A program looks at no leaf above the maximum of its range (basic, 0x8000xxxx, Centaur's 0xC000xxxx): the maximum
// reaches at least to the features that are shown.
void raise_maxima(const arch::FeatureTable& table, const arch::FeatureSet& features, CpuidDump& cpuid) {
    constexpr std::uint32_t kRange = 0xffff0000;
    features.for_each([&](FeatureId id) {
        if (table[id].cpuid.empty()) return;
        const CpuidPlace& place = table[id].cpuid.front();
        auto& maximum = cpuid[{place.leaf & kRange, 0}].eax;
        maximum = std::max(maximum, place.leaf);
        if (place.leaf != 7) return;
        auto& subleaf = cpuid[{7, 0}].eax;
        subleaf = std::max(subleaf, place.subleaf);
    });
}

}  // namespace

CpuidDump meet_cpuid(const arch::FeatureTable& table, const Level& level, Dumps dumps, const CpuidDump* chosen,
                     std::vector<std::string>& warnings) {
    std::set<CpuidKey> keys;
    for (const CpuidDump* dump : dumps) {
        for (const auto& [key, registers] : *dump) keys.insert(key);
    }
    CpuidDump cpuid;
    for (const CpuidKey& key : keys) {
        if (key.leaf == kXsaveLeaf) continue;  // its own rules
        for (const CpuidField& field : table.fields()) {
            if (!covers(field, key)) continue;
            set_bits(cpuid, key, field.reg, combine(field, key, dumps, chosen, warnings));
        }
    }
    if (level.xsave) write_leaf_d(*level.xsave, cpuid);
    write_features(table, level.features, dumps, cpuid);
    raise_maxima(table, level.features, cpuid);
    return cpuid;
}

}  // namespace cpulevel::level
