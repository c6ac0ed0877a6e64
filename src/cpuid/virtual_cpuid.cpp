// How the table is made.
//
// A level says which features are shown and, in `cpuid`, what each leaf answers. Three things stand between that
// and an answer for every (EAX, ECX):
//
// - Fields that are not the level's. LIVE ones (APIC ids, topology) belong to the CPU that the thread is on, so the
//   table has a mask for them. NAMED ones (vendor, brand, caches) of a level without nodes are this machine's.
// - Questions that no dump holds. Above the maximum leaf Intel and AMD answer differently, and programs rely on it:
//   old OpenSSL versions ask leaf 7 of the highest leaf's number without looking. The hypervisor range is above the
//   maximum unless the level says that there is a hypervisor.
// - Leaf 0xD. What XSAVE writes cannot be hidden, so its sizes are the promise that the level made (levelling.md),
//   whatever stands in the dump; and where the level hides OSXSAVE it is empty, since a small size there is what
//   lets programs corrupt their stack after a move.
//
// Last of all, every feature bit that is not in the level is cleared, so that no mistake of an earlier step, and no
// field that a later CPU puts to another use, can show a feature that the level hides.
#include "cpuid/virtual_cpuid.h"

#include <algorithm>
#include <span>
#include <string>

#include "arch/x86_64.h"
#include "cpuid/leaf_shape.h"
#include "level/xsave_area.h"

namespace cpulevel::cpuid {

namespace {

using arch::CpuidDump;
using arch::CpuidField;
using arch::CpuidKey;
using arch::CpuidRegisters;
using arch::Register;

constexpr std::uint32_t kXsaveLeaf = 0xd;
constexpr std::uint32_t kBrandFirst = 0x80000002;
constexpr std::uint32_t kAllSubleaves = 0xffffffff;
constexpr std::uint32_t kRangeMask = 0xffff0000;
constexpr std::uint32_t kAllBits = 0xffffffff;

std::uint32_t field_mask(const CpuidField& field) {
    const auto width = static_cast<unsigned>(field.high - field.low + 1);
    return (width >= 32 ? kAllBits : (std::uint32_t{1} << width) - 1) << field.low;
}

bool covers(const CpuidField& field, const CpuidKey& key) {
    return field.leaf == key.leaf && field.first_subleaf <= key.subleaf && key.subleaf <= field.last_subleaf;
}

void set_bits(CpuidRegisters& registers, Register which, std::uint32_t mask, std::uint32_t value) {
    registers.set(which, (registers.get(which) & ~mask) | (value & mask));
}

CpuidRegisters without(const CpuidRegisters& registers, const CpuidRegisters& bits) {
    return {registers.eax & ~bits.eax, registers.ebx & ~bits.ebx, registers.ecx & ~bits.ecx, registers.edx & ~bits.edx};
}

bool all_zero(const CpuidRegisters& registers) { return registers == CpuidRegisters{}; }

// The highest leaf of a range, from its first leaf's EAX; nothing if the range is not there or says nonsense.
std::optional<std::uint32_t> stated_maximum(const CpuidDump& dump, std::uint32_t first) {
    const auto registers = arch::find(dump, first);
    if (!registers || registers->eax < first || (registers->eax & kRangeMask) != (first & kRangeMask)) {
        return std::nullopt;
    }
    return registers->eax;
}

// Whether the machine has the leaf: if not, executing CPUID for it on an Intel CPU would give another leaf's data.
bool machine_has(const CpuidDump& host, std::uint32_t leaf) {
    if (host.empty()) return true;  // not known; the engine asked for LIVE answers all the same
    const auto maximum = stated_maximum(host, leaf & kRangeMask);
    return maximum && leaf <= *maximum;
}

// Of the fields that nodes would have to agree on, those that describe what every x86-64 CPU has: with no nodes to ask,
// a level says 0, and a program that steps through memory by a CLFLUSH size of 0 never ends.
bool is_machines_measure(const CpuidField& field) {
    constexpr std::uint32_t kAddressSizes = 0x80000008;
    return (field.leaf == 1 && field.rule == arch::Rule::Equal) ||
           (field.leaf == kAddressSizes && field.reg == Register::eax && field.rule == arch::Rule::Min);
}

// NAMED and LIVE fields of a level without nodes are this machine's, as are the measures above.
void take_machines_fields(const CpuidDump& host, std::span<const CpuidField> fields, CpuidDump& shown) {
    for (const CpuidField& field : fields) {
        const bool taken = field.rule == arch::Rule::Named || is_machines_measure(field);
        if (!taken && field.rule != arch::Rule::Live) continue;
        const CpuidKey from{field.leaf, field.first_subleaf};
        const CpuidKey to{field.leaf, field.last_subleaf};
        for (auto at = host.lower_bound(from); at != host.end() && at->first <= to; ++at) {
            CpuidRegisters& registers = shown[at->first];
            if (taken) set_bits(registers, field.reg, field_mask(field), at->second.get(field.reg));
        }
    }
}

std::uint32_t four_characters(const std::string& text, std::size_t from) {
    std::uint32_t word = 0;
    for (unsigned i = 0; i < 4; ++i) {
        if (from + i < text.size()) word |= std::uint32_t{static_cast<unsigned char>(text[from + i])} << (8 * i);
    }
    return word;
}

// A chosen node whose description has no CPUID (/proc/cpuinfo) still has a name: spelled out as CPUID gives it.
// Intel SDM vol. 2A, "CPUID", leaves 0, 1 (figure 3-6) and 0x80000002 to 4.
void spell_identity(const profile::Identity& identity, CpuidDump& shown) {
    CpuidRegisters& vendor = shown[{0, 0}];
    if ((vendor.ebx | vendor.ecx | vendor.edx) != 0) return;
    vendor.ebx = four_characters(identity.vendor, 0);
    vendor.edx = four_characters(identity.vendor, 4);
    vendor.ecx = four_characters(identity.vendor, 8);

    const std::uint32_t family = std::min(identity.family, 0xfU);
    const std::uint32_t extended_family = identity.family - family;
    shown[{1, 0}].eax = (extended_family & 0xffU) << 20U | (identity.model & 0xf0U) << 12U | family << 8U |
                        (identity.model & 0xfU) << 4U | (identity.stepping & 0xfU);

    std::size_t at = 0;
    for (const std::uint32_t leaf : {kBrandFirst, kBrandFirst + 1, kBrandFirst + 2}) {
        for (const Register which : {Register::eax, Register::ebx, Register::ecx, Register::edx}) {
            shown[{leaf, 0}].set(which, four_characters(identity.brand, at));
            at += 4;
        }
    }
    CpuidRegisters& extended = shown[{kExtendedFirst, 0}];
    extended.eax = std::max(extended.eax, kBrandFirst + 2);
}

// A program looks at no leaf above the maximum of its range. A level without nodes says nothing of the machine's own
// leaves, so its maxima reach to them; a level with nodes has the smallest of the nodes' (rule MIN), but not less than
// the promise about XSAVE needs.
void raise_maxima(const level::Level& level, CpuidDump& shown) {
    const auto raise = [&](std::uint32_t first, std::uint32_t leaf) {
        CpuidRegisters& registers = shown[{first, 0}];
        registers.eax = std::max(registers.eax, leaf);
    };
    if (level.xsave) raise(0, kXsaveLeaf);
    if (level.identity) return;
    for (const std::uint32_t first : {std::uint32_t{0}, kExtendedFirst}) {
        const auto beyond = shown.upper_bound({first | ~kRangeMask, kAllSubleaves});
        if (beyond == shown.begin()) continue;
        const std::uint32_t highest = std::prev(beyond)->first.leaf;
        if ((highest & kRangeMask) == first) raise(first, highest);
    }
}

void promise_xsave_sizes(const level::Level& level, CpuidDump& shown) {
    const arch::FeatureTable& table = arch::table(level.architecture);
    const auto osxsave = table.find("osxsave");
    if (osxsave && !level.features.contains(*osxsave)) {
        shown.erase(shown.lower_bound({kXsaveLeaf, 0}), shown.upper_bound({kXsaveLeaf, kAllSubleaves}));
        return;
    }
    if (!level.xsave) return;
    shown.erase(shown.lower_bound({kXsaveLeaf, 2}), shown.upper_bound({kXsaveLeaf, kAllSubleaves}));
    level::write_leaf_d(*level.xsave, shown);
}

// The bits, by leaf, that show the members of a set.
CpuidDump bits_of(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    CpuidDump bits;
    set.for_each([&](arch::FeatureId id) {
        for (const arch::CpuidPlace& place : table[id].cpuid) {
            set_bits(bits[{place.leaf, place.subleaf}], place.reg, std::uint32_t{1} << place.bit, kAllBits);
        }
    });
    return bits;
}

CpuidRegisters at_key(const CpuidDump& dump, const CpuidKey& key) {
    return arch::find(dump, key.leaf, key.subleaf).value_or(CpuidRegisters{});
}

// Whatever the field around them is, the bits of features follow the level's set.
void hide_feature_bits(const level::Level& level, const CpuidDump& feature_bits, CpuidDump& shown) {
    const arch::FeatureTable& table = arch::table(level.architecture);
    const CpuidDump hidden = bits_of(table, table.all() - level.features);
    for (auto& [key, registers] : shown) {
        registers = without(registers, at_key(hidden, key));
        for (const CpuidField& field : table.fields()) {
            if (field.rule != arch::Rule::Never || !covers(field, key)) continue;
            set_bits(registers, field.reg, field_mask(field) & ~at_key(feature_bits, key).get(field.reg), 0);
        }
    }
}

// A key that stands for the subleaves that are not listed: only fields of all subleaves cover it.
constexpr CpuidKey other_subleaves_of(std::uint32_t leaf) { return {leaf, kAllSubleaves}; }

CpuidRegisters live_bits(const arch::FeatureTable& table, const CpuidDump& feature_bits, const CpuidKey& key) {
    CpuidRegisters live;
    for (const CpuidField& field : table.fields()) {
        if (field.rule == arch::Rule::Live && covers(field, key)) {
            live.set(field.reg, live.get(field.reg) | field_mask(field));
        }
    }
    if (repeats_subleaf(key.leaf)) {
        live.edx = kAllBits;
        live.ecx &= ~std::uint32_t{0xff};
    }
    return without(live, at_key(feature_bits, key));
}

bool shows_zeros_above_maximum(const CpuidDump& shown) {
    const std::string vendor = arch::x86_identity(shown).vendor;
    return vendor == "AuthenticAMD" || vendor == "HygonGenuine";
}

}  // namespace

VirtualCpuid VirtualCpuid::build(const level::Level& level, const CpuidDump& host) {
    const arch::FeatureTable& table = arch::table(level.architecture);
    CpuidDump shown = level.cpuid;
    if (level.identity) {
        spell_identity(*level.identity, shown);
    } else {
        take_machines_fields(host, table.fields(), shown);
    }
    promise_xsave_sizes(level, shown);
    raise_maxima(level, shown);
    const CpuidDump feature_bits = bits_of(table, table.all());
    hide_feature_bits(level, feature_bits, shown);

    VirtualCpuid result;
    result.above_maximum_repeats_highest_ = !shows_zeros_above_maximum(shown);
    result.ranges_[0] = {0, stated_maximum(shown, 0).value_or(0)};
    // Leaf 2, AL: how often to execute the leaf; always 1 where there is one. Programs loop on it.
    if (result.above_maximum_repeats_highest_ && result.in_range(2)) set_bits(shown[{2, 0}], Register::eax, 0xff, 1);

    const auto leaf_1 = arch::find(shown, 1);
    if (leaf_1 && (leaf_1->ecx >> 31U) == 1) result.ranges_[1] = {kHypervisorFirst, kHypervisorLast};
    if (const auto last = stated_maximum(shown, kExtendedFirst)) result.ranges_[2] = {kExtendedFirst, *last};
    if (const auto last = stated_maximum(shown, kCentaurFirst)) result.ranges_[3] = {kCentaurFirst, *last};

    for (const auto& [key, registers] : shown) {
        if (!result.in_range(key.leaf)) continue;
        const bool subleaves = arch::x86_leaf_has_subleaves(key.leaf);
        if (key.subleaf != 0) {
            if (!subleaves) continue;
            if (states_last_subleaf(key.leaf) && key.subleaf > at_key(shown, {key.leaf, 0}).eax) continue;
        }
        const bool machine_answers = machine_has(host, key.leaf);
        const auto entry = [&](const CpuidRegisters& stored, const CpuidKey& at) {
            const CpuidRegisters live = live_bits(table, feature_bits, at);
            Entry made{.fixed = without(stored, live),
                       .live = machine_answers ? live : CpuidRegisters{},
                       .has_subleaves = subleaves,
                       .repeats_subleaf = repeats_subleaf(at.leaf)};
            if (made.repeats_subleaf) set_bits(made.fixed, Register::ecx, 0xff, 0);
            return made;
        };
        result.entries_[key] = entry(registers, key);
        if (!subleaves) continue;
        const Entry others = entry({}, other_subleaves_of(key.leaf));
        if (others.repeats_subleaf || !all_zero(others.live)) result.other_subleaves_[key.leaf] = others;
    }
    return result;
}

bool VirtualCpuid::in_range(std::uint32_t leaf) const {
    return std::ranges::any_of(ranges_, [&](const Range& range) { return range.first <= leaf && leaf <= range.last; });
}

CpuidRegisters VirtualCpuid::answer(std::uint32_t leaf, std::uint32_t subleaf, const RealCpuid& real) const {
    if (!in_range(leaf)) {
        if (!above_maximum_repeats_highest_) return {};
        leaf = maximum_basic_leaf();
    }
    const std::uint32_t asked = arch::x86_leaf_has_subleaves(leaf) ? subleaf : 0;
    const Entry* entry = nullptr;
    if (const auto at = entries_.find({leaf, asked}); at != entries_.end()) {
        entry = &at->second;
    } else if (const auto others = other_subleaves_.find(leaf); others != other_subleaves_.end()) {
        entry = &others->second;
    } else {
        return {};
    }
    CpuidRegisters result = entry->fixed;
    if (!all_zero(entry->live)) {
        const CpuidRegisters own = real(leaf, asked);
        result.eax |= own.eax & entry->live.eax;
        result.ebx |= own.ebx & entry->live.ebx;
        result.ecx |= own.ecx & entry->live.ecx;
        result.edx |= own.edx & entry->live.edx;
    }
    if (entry->repeats_subleaf) result.ecx |= subleaf & 0xffU;
    return result;
}

}  // namespace cpulevel::cpuid
