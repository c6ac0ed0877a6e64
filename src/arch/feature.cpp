#include "arch/feature.h"

#include <algorithm>
#include <array>
#include <string>

#include "arch/tables.h"
#include "arch/x86_64.h"
#include "util/text.h"

namespace cpulevel::arch {

namespace {

constexpr std::array kArchitectures = {Architecture::x86_64,  Architecture::aarch64, Architecture::riscv64,
                                       Architecture::ppc64le, Architecture::s390x,   Architecture::loongarch64};

std::string key_of(std::string_view name) {
    std::string key = lower(name);
    std::ranges::replace(key, '.', '_');
    std::ranges::replace(key, '-', '_');
    return key;
}

bool is_set(std::uint64_t word, unsigned bit) { return ((word >> bit) & 1U) != 0; }

// What the dump answers at a place; nothing where it has no such leaf.
std::optional<bool> answer(const CpuidDump& dump, const CpuidPlace& place) {
    if (!x86_leaf_in_range(dump, place.leaf)) return std::nullopt;
    const auto registers = arch::find(dump, place.leaf, place.subleaf);
    if (!registers) return std::nullopt;
    return is_set(registers->get(place.reg), place.bit);
}

// The defining place decides where its leaf is in the dump. A copy speaks only where it is not: on Intel, for one,
// the copies of leaf 1 in leaf 0x80000001 are zero.
bool shown_by(const CpuidDump& dump, const Feature& feature) {
    if (feature.cpuid.empty()) return false;
    if (const auto defining = answer(dump, feature.cpuid.front())) return *defining;
    return std::ranges::any_of(feature.cpuid.subspan(1),
                               [&](const CpuidPlace& copy) { return answer(dump, copy).value_or(false); });
}

}  // namespace

std::string_view name(Architecture architecture) {
    switch (architecture) {
        case Architecture::x86_64: return "x86_64";
        case Architecture::aarch64: return "aarch64";
        case Architecture::riscv64: return "riscv64";
        case Architecture::ppc64le: return "ppc64le";
        case Architecture::s390x: return "s390x";
        case Architecture::loongarch64: return "loongarch64";
    }
    return {};
}

std::optional<Architecture> find_architecture(std::string_view text) {
    const std::string wanted = lower(text);
    if (wanted == "amd64") return Architecture::x86_64;
    if (wanted == "arm64") return Architecture::aarch64;
    for (const Architecture architecture : kArchitectures) {
        if (wanted == name(architecture)) return architecture;
    }
    return std::nullopt;
}

std::span<const Architecture> architectures() { return kArchitectures; }

std::string_view name(Rule rule) {
    switch (rule) {
        case Rule::And: return "AND";
        case Rule::Max: return "MAX";
        case Rule::Min: return "MIN";
        case Rule::Equal: return "EQUAL";
        case Rule::Union: return "UNION";
        case Rule::Live: return "LIVE";
        case Rule::Named: return "NAMED";
        case Rule::Never: return "NEVER";
    }
    return {};
}

const FeatureTable& table(Architecture architecture) {
    switch (architecture) {
        case Architecture::x86_64: return generated::x86_64;
        case Architecture::aarch64: return generated::aarch64;
        case Architecture::riscv64: return generated::riscv64;
        case Architecture::ppc64le: return generated::ppc64le;
        case Architecture::s390x: return generated::s390x;
        case Architecture::loongarch64: return generated::loongarch64;
    }
    return generated::x86_64;
}

const KnownMaxima& known_maxima() { return generated::maxima; }

std::optional<FeatureId> FeatureTable::find(std::string_view name) const {
    const std::string key = key_of(name);
    const auto at = std::ranges::lower_bound(names_, std::string_view(key), {}, &NameEntry::key);
    if (at == names_.end() || at->key != key) return std::nullopt;
    return at->id;
}

const NamedLevel* FeatureTable::find_level(std::string_view name) const {
    const std::string wanted = lower(name);
    const auto at = std::ranges::find(levels_, std::string_view(wanted), &NamedLevel::name);
    return at == levels_.end() ? nullptr : &*at;
}

std::vector<std::string_view> FeatureTable::suggest(std::string_view name) const {
    std::vector<std::string_view> candidates;
    for (const NamedLevel& level : levels_) candidates.push_back(level.name);
    for (const Feature& feature : features_) {
        candidates.push_back(feature.name);
        candidates.insert(candidates.end(), feature.aliases.begin(), feature.aliases.end());
    }
    return nearest(lower(name), candidates);
}

FeatureSet FeatureTable::all() const {
    FeatureSet set;
    for (std::size_t i = 0; i < features_.size(); ++i) set.insert(FeatureId{static_cast<std::uint16_t>(i)});
    return set;
}

FeatureSet FeatureTable::closed_subset(FeatureSet set) const {
    for (bool changed = true; changed;) {
        changed = false;
        const FeatureSet before = set;
        before.for_each([&](FeatureId id) {
            const auto lacking = [&](FeatureId need) { return !set.contains(need); };
            if (std::ranges::any_of(features_[id.value].needs, lacking)) {
                set.erase(id);
                changed = true;
            }
        });
    }
    return set;
}

FeatureSet FeatureTable::with_needs(FeatureSet set) const {
    for (bool changed = true; changed;) {
        const FeatureSet before = set;
        before.for_each([&](FeatureId id) {
            for (const FeatureId need : features_[id.value].needs) set.insert(need);
        });
        changed = set != before;
    }
    return set;
}

FeatureSet FeatureTable::dependents(FeatureId id) const {
    FeatureSet without = all();
    without.erase(id);
    return without - closed_subset(without);
}

FeatureSet FeatureTable::from_cpuid(const CpuidDump& dump, std::optional<std::uint64_t> xcr0) const {
    FeatureSet set;
    for (std::size_t i = 0; i < features_.size(); ++i) {
        const Feature& feature = features_[i];
        if (!shown_by(dump, feature)) continue;
        if (xcr0 && (feature.xcr0 & ~*xcr0) != 0) continue;
        set.insert(FeatureId{static_cast<std::uint16_t>(i)});
    }
    if (architecture_ == Architecture::x86_64) x86_add_hidden_syscall(dump, set);
    return set;
}

FeatureSet FeatureTable::from_hwcap(std::span<const std::optional<std::uint64_t>> words) const {
    FeatureSet set;
    for (std::size_t i = 0; i < features_.size(); ++i) {
        const bool shown = std::ranges::any_of(features_[i].hwcap, [&](const HwcapPlace& place) {
            return place.word < words.size() && words[place.word] && is_set(*words[place.word], place.bit);
        });
        if (shown) set.insert(FeatureId{static_cast<std::uint16_t>(i)});
    }
    return set;
}

std::uint64_t FeatureTable::to_hwcap(const FeatureSet& set, std::uint8_t word) const {
    std::uint64_t value = 0;
    set.for_each([&](FeatureId id) {
        for (const HwcapPlace& place : features_[id.value].hwcap) {
            if (place.word == word) value |= std::uint64_t{1} << place.bit;
        }
    });
    return value;
}

FeatureSet FeatureTable::in_leaf(std::uint32_t leaf, std::uint32_t subleaf) const {
    FeatureSet set;
    for (std::size_t i = 0; i < features_.size(); ++i) {
        const auto here = [&](const CpuidPlace& place) { return place.leaf == leaf && place.subleaf == subleaf; };
        if (std::ranges::any_of(features_[i].cpuid, here)) set.insert(FeatureId{static_cast<std::uint16_t>(i)});
    }
    return set;
}

FeatureSet FeatureTable::in_hwcap_word(std::uint8_t word) const {
    FeatureSet set;
    for (std::size_t i = 0; i < features_.size(); ++i) {
        const auto here = [&](const HwcapPlace& place) { return place.word == word; };
        if (std::ranges::any_of(features_[i].hwcap, here)) set.insert(FeatureId{static_cast<std::uint16_t>(i)});
    }
    return set;
}

void FeatureTable::apply_to_cpuid(const FeatureSet& set, CpuidDump& dump) const {
    const bool repeats = x86_repeats_leaf_1(dump);
    for (std::size_t i = 0; i < features_.size(); ++i) {
        const bool wanted = set.contains(FeatureId{static_cast<std::uint16_t>(i)});
        const auto places = features_[i].cpuid;
        for (std::size_t j = 0; j < places.size(); ++j) {
            const CpuidPlace& place = places[j];
            const auto at = dump.find({place.leaf, place.subleaf});
            if (at == dump.end()) continue;
            const bool copy_of_leaf_1 = j > 0 && places.front().leaf == 1 && place.leaf == 0x80000001;
            const std::uint32_t mask = std::uint32_t{1} << place.bit;
            const std::uint32_t old = at->second.get(place.reg);
            at->second.set(place.reg, wanted && (!copy_of_leaf_1 || repeats) ? old | mask : old & ~mask);
        }
    }
}

}  // namespace cpulevel::arch
