// A named level is the meet of one node that nobody has: it offers exactly the named features, and the largest XSAVE
// area and signal stack of any known CPU. So the rules are those of every other level, and stand in one place.
#include "level/named.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "level/feature_text.h"
#include "level/meet.h"
#include "level/xsave_area.h"

namespace cpulevel::level {
namespace {

using arch::Architecture;
using arch::FeatureSet;
using profile::XsaveComponent;

// On every processor that runs 64-bit Linux, and looked for by programs that never heard of psABI levels (AMD APM
// vol. 2 section 1.1, "long mode" processors; Linux arch/x86/include/asm/required-features.h). Not in: NX, which the
// first Intel processors with 64-bit mode lack; PSE-36, which VIA's and some Atoms lack; VME, which some emulators
// lack; MTRR, which kernels under some hypervisors take out of their flags (it is of no use to a program).
FeatureSet every_x86_64(const arch::FeatureTable& table) {
    return named_features(table, {"fpu", "de",   "pse", "tsc",     "msr", "pae",  "mce", "cx8",  "apic",    "pge",
                                  "mca", "cmov", "pat", "clflush", "mmx", "fxsr", "sse", "sse2", "syscall", "lm"});
}

struct Place {
    unsigned number = 0;
    XsaveComponent component;
};

// Standard format on Intel's processors (CPUID leaf 0xD of Haswell to Sapphire Rapids; fixed on all of them so far).
constexpr std::array<Place, 7> kIntelPlaces{{
    {2, {.size = 256, .offset = kFirstComponentOffset}},
    {5, {.size = 64, .offset = 1088}},
    {6, {.size = 512, .offset = 1152}},
    {7, {.size = 1024, .offset = 1664}},
    {9, {.size = 8, .offset = 2688}},
    {17, {.size = 64, .offset = 2752, .supervisor = false, .aligned = true}},
    {18, {.size = 8192, .offset = 2816, .supervisor = false, .aligned = true}},
}};

profile::XsaveLayout ideal_layout(std::uint64_t components, const profile::XsaveLayout* machine) {
    profile::XsaveLayout layout;
    layout.xcr0 = components;
    layout.xcr0_enabled = true;
    layout.standard_size = layout.maximum_size = arch::known_maxima().xsave_area;
    // A component that the machine has not stays in the level, where Intel keeps it: a level does not shrink to the
    // machine that it is asked about, or every machine would seem able to run it.
    for (const Place& place : kIntelPlaces) layout.components[place.number] = place.component;
    if (machine != nullptr) {
        for (const auto& [number, component] : machine->components) layout.components[number] = component;
        layout.standard_size = layout.maximum_size =
            std::max({layout.standard_size, machine->standard_size, machine->maximum_size});
    }
    return layout;
}

std::unexpected<Error> cannot_show(const arch::FeatureTable& table, const FeatureSet& missing,
                                   const std::vector<Loss>& losses) {
    std::string why;
    for (const Loss& loss : losses) {
        if (missing.contains(loss.feature) && !loss.detail.empty()) why = loss.detail;
    }
    return usage_error("a level without machines behind it cannot have this feature", name_some(table, missing), why,
                       "make the level of the machines' profiles: cpulevel baseline");
}

}  // namespace

FeatureSet features_of(const arch::FeatureTable& table, const arch::NamedLevel& named) {
    FeatureSet features;
    for (const arch::FeatureId id : named.features) features.insert(id);
    if (table.architecture() == Architecture::x86_64) features |= every_x86_64(table);
    return table.with_needs(features);
}

Result<Level> level_of(const arch::FeatureTable& table, std::string name, const FeatureSet& features,
                       const FeatureSet& asked, const profile::XsaveLayout* layout) {
    const bool x86 = table.architecture() == Architecture::x86_64;
    profile::NodeProfile ideal;
    ideal.name = "data";
    ideal.architecture = table.architecture();
    ideal.features = features;
    ideal.known = table.all();
    if (x86) {
        ideal.xsave = ideal_layout(components_of(table, features), layout);
        ideal.minimum_signal_stack = arch::known_maxima().minimum_signal_stack;
    }
    MeetOptions options;
    options.name = std::move(name);
    options.allow = asked;
    options.keep_cpuid = contains(table, asked, "cpuid");
    auto met = meet(std::span(&ideal, 1), options);
    if (!met) return std::unexpected(met.error());
    Level level = std::move(met->level);
    if (!asked.is_subset_of(level.features)) return cannot_show(table, asked - level.features, met->losses);

    level.nodes.clear();
    level.identity.reset();
    level.undetermined = {};
    level.enabled_components.reset();
    std::erase_if(level.warnings, [](const std::string& text) { return text.starts_with("data: "); });
    if (level.xsave) {
        level.warnings.push_back(
            fmt::format("no machines are behind this level: it promises the largest XSAVE area of "
                        "any known CPU, {} bytes",
                        level.xsave->standard_size));
        // Component 2 stands at the same place everywhere; the others do not.
        if (layout == nullptr && level.xsave->components.size() > 1) {
            level.warnings.push_back(
                "the XSAVE components beyond AVX are promised where Intel's processors keep them; AMD's "
                "keep them elsewhere and cannot take part in this level");
        }
    }
    if (x86) {
        level.warnings.push_back(
            fmt::format("no machines are behind this level: it promises the largest AT_MINSIGSTKSZ of "
                        "any known CPU, {} bytes",
                        *level.minimum_signal_stack));
    }
    return level;
}

namespace {

bool is_standard(const arch::NamedLevel& named) {
    return named.name.starts_with("x86-64") || named.name.starts_with("armv");
}

FeatureSet members(const arch::NamedLevel& named) {
    FeatureSet set;
    for (const arch::FeatureId id : named.features) set.insert(id);
    return set;
}

template <class Wanted>
std::optional<std::string_view> largest_contained(const arch::FeatureTable& table, const FeatureSet& set, Wanted wanted) {
    const arch::NamedLevel* best = nullptr;
    std::size_t best_size = 0;
    for (const arch::NamedLevel& named : table.levels()) {
        if (!wanted(named)) continue;
        const FeatureSet wants = members(named);
        if (!wants.is_subset_of(set)) continue;
        if (best == nullptr || wants.size() > best_size) {
            best = &named;
            best_size = wants.size();
        }
    }
    if (best == nullptr) return std::nullopt;
    return best->name;
}

}  // namespace

std::vector<const arch::NamedLevel*> standard_levels(const arch::FeatureTable& table) {
    std::vector<const arch::NamedLevel*> result;
    for (const arch::NamedLevel& named : table.levels()) {
        const bool again = std::ranges::any_of(result, [&](const arch::NamedLevel* other) {
            return members(*other) == members(named);  // armv8-a is another name of armv8.0-a
        });
        if (is_standard(named) && !again) result.push_back(&named);
    }
    return result;
}

const arch::NamedLevel* lowest_standard_level(const arch::FeatureTable& table) {
    const auto levels = standard_levels(table);
    const auto lowest = std::ranges::min_element(levels, {}, [](const auto* named) { return named->features.size(); });
    return lowest == levels.end() ? nullptr : *lowest;
}

Reached reached_level(const arch::FeatureTable& table, const FeatureSet& set, const FeatureSet& known) {
    const FeatureSet possible = set | (table.all() - known);
    bool any = false, more = false;
    for (const arch::NamedLevel* named : standard_levels(table)) {
        any = true;
        const FeatureSet wants = members(*named);
        more |= !wants.is_subset_of(set) && wants.is_subset_of(possible);
    }
    if (!any) return {.reach = Reach::no_levels};
    if (const auto best = best_standard_level(table, set)) {
        return {.reach = more ? Reach::at_least : Reach::exactly, .level = *best};
    }
    return {.reach = more ? Reach::unknown : Reach::below};
}

std::optional<std::string_view> best_standard_level(const arch::FeatureTable& table, const FeatureSet& set) {
    return largest_contained(table, set, is_standard);
}

std::optional<std::string_view> best_product_level(const arch::FeatureTable& table, const FeatureSet& set) {
    return largest_contained(table, set, [](const arch::NamedLevel& named) { return !is_standard(named); });
}

}  // namespace cpulevel::level
