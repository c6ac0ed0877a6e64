#include "profile/derive.h"

#include <fmt/format.h>

#include <algorithm>

#include "arch/x86_64.h"
#include "profile/cpu_list.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

using arch::CpuidDump;
using arch::CpuidRegisters;
using arch::FeatureSet;

constexpr std::uint32_t kOsxsaveBit = 1U << 27U;    // leaf 1 ECX
constexpr std::uint32_t kXsaveBit = 1U << 26U;      // leaf 1 ECX
constexpr std::uint32_t kHypervisorBit = 1U << 31U; // leaf 1 ECX

std::uint32_t field_mask(const arch::CpuidField& field) {
    const std::uint32_t upto = field.high >= 31 ? ~0U : (1U << (field.high + 1U)) - 1U;
    return upto & ~((1U << field.low) - 1U);
}

std::optional<std::uint32_t> range_maximum(const CpuidDump& dump, std::uint32_t leaf) {
    const std::uint32_t first = leaf & 0xffff0000U;
    const auto head = arch::find(dump, first);
    if (!head) return std::nullopt;
    // A CPU without the range answers something outside of it.
    if (head->eax < first || head->eax - first > 0xffffU) return first;
    return head->eax;
}

// Ranges that only certain makers have. Nobody asks another maker's CPU for them: the answers mean nothing.
bool has_range(const CpuidDump& dump, std::uint32_t leaf) {
    const auto head = arch::find(dump, 0);
    if (!head) return true;
    switch (leaf & 0xffff0000U) {
        case 0xc0000000: return head->ebx == 0x746e6543 || head->ebx == 0x68532020;  // "Cent...", "  Sh..."
        case 0x80860000:                                                             // "Tran...", "GenuineT..."
            return head->ebx == 0x6e617254 || (head->ebx == 0x756e6547 && head->edx == 0x54656e69);
        default: return true;
    }
}

// Does the dump say what this leaf and subleaf would answer, if only "it does not exist"?
bool tells(const CpuidDump& dump, const arch::CpuidPlace& place) {
    if (dump.contains({place.leaf, place.subleaf})) return true;
    if (!has_range(dump, place.leaf)) return true;
    const auto maximum = range_maximum(dump, place.leaf);
    if (maximum && place.leaf > *maximum) return true;
    if (place.subleaf == 0) return false;
    const auto head = arch::find(dump, place.leaf);
    if (!head) return false;
    switch (place.leaf) {
        case 0x7:
        case 0x14:
        case 0x1d:
        case 0x1e:
        case 0x20:
        case 0x24: return place.subleaf > head->eax;
        case 0xd: return *head == CpuidRegisters{};
        default: return *head == CpuidRegisters{};
    }
}

std::string vendor_text(const CpuidRegisters& registers, bool hypervisor) {
    std::string text;
    const std::array order = hypervisor ? std::array{registers.ebx, registers.ecx, registers.edx}
                                        : std::array{registers.ebx, registers.edx, registers.ecx};
    for (const std::uint32_t word : order) {
        for (unsigned shift = 0; shift < 32; shift += 8) text += static_cast<char>(word >> shift & 0xffU);
    }
    text.erase(text.find_last_not_of(std::string_view("\0 ", 2)) + 1);
    return printable(text);
}

std::uint32_t compacted_size_of(const XsaveLayout& layout, std::uint64_t wanted) {
    std::uint32_t size = 576;  // legacy area and header
    for (const auto& [number, component] : layout.components) {
        if (component.supervisor || (wanted >> number & 1U) == 0) continue;
        if (component.aligned) size = (size + 63U) & ~63U;
        size += component.size;
    }
    return size;
}

Result<XsaveComponent> component_of(unsigned number, const CpuidRegisters& registers) {
    const XsaveComponent component{.size = registers.eax,
                                   .offset = registers.ebx,
                                   .supervisor = (registers.ecx & 1U) != 0,
                                   .aligned = (registers.ecx & 2U) != 0};
    if (component.size > kMaximumXsaveSize || component.offset > kMaximumXsaveSize) {
        return usage_error("absurd XSAVE layout", fmt::format("CPUID leaf 0xd, subleaf {}", number),
                           fmt::format("component of {} bytes at offset {}", component.size, component.offset));
    }
    return component;
}

void widen(XsaveLayout& into, const XsaveLayout& other, std::vector<std::string>& notes, const std::string& cpus) {
    if (into == other) return;
    into.standard_size = std::max(into.standard_size, other.standard_size);
    into.maximum_size = std::max(into.maximum_size, other.maximum_size);
    into.compacted_size = std::max(into.compacted_size, other.compacted_size);
    into.xcr0 |= other.xcr0;
    for (const auto& [number, component] : other.components) {
        const auto [at, added] = into.components.try_emplace(number, component);
        if (added) continue;
        if (at->second.offset != component.offset) {
            notes.push_back(fmt::format("CPUs {} have XSAVE component {} at another offset than the CPUs before: {} "
                                        "instead of {}",
                                        cpus, number, component.offset, at->second.offset));
        }
        at->second.size = std::max(at->second.size, component.size);
    }
    notes.push_back(fmt::format("CPUs {} have another XSAVE layout than the CPUs before; the larger sizes are taken",
                                cpus));
}

void note_differences(NodeProfile& profile, std::optional<std::uint64_t> xcr0) {
    if (profile.cpus.size() < 2) return;
    const auto& table = arch::table(profile.architecture);
    std::vector<FeatureSet> each;
    FeatureSet any;
    FeatureSet everywhere = table.all();
    for (const CpuGroup& group : profile.cpus) {
        each.push_back(table.from_cpuid(group.cpuid, xcr0));
        any |= each.back();
        everywhere &= each.back();
    }
    std::size_t different = 0;
    for (std::size_t i = 0; i < each.size(); ++i) {
        const FeatureSet lacking = any - each[i];
        if (lacking.empty()) continue;
        ++different;
        if (different > 16) continue;
        profile.notes.push_back(fmt::format("CPUs {} lack what other CPUs of this node have: {}",
                                            profile.cpus[i].cpus,
                                            join(names(profile.architecture, lacking), ", ")));
    }
    if (different > 16) {
        profile.notes.push_back(fmt::format("{} more groups of CPUs lack features that others have", different - 16));
    }
}

}  // namespace

arch::CpuidDump without_live_fields(arch::CpuidDump dump) {
    for (const arch::CpuidField& field : arch::table(arch::Architecture::x86_64).fields()) {
        if (field.rule != arch::Rule::Live) continue;
        for (auto at = dump.lower_bound({field.leaf, field.first_subleaf});
             at != dump.end() && at->first.leaf == field.leaf && at->first.subleaf <= field.last_subleaf; ++at) {
            at->second.set(field.reg, at->second.get(field.reg) & ~field_mask(field));
        }
    }
    return dump;
}

bool CpuCollector::less(const arch::CpuidDump& a, const arch::CpuidDump& b) {
    const auto flat = [](const arch::CpuidDump::value_type& entry) {
        return std::array{entry.first.leaf, entry.first.subleaf, entry.second.eax,
                          entry.second.ebx, entry.second.ecx,    entry.second.edx};
    };
    return std::ranges::lexicographical_compare(a, b, {}, flat, flat);
}

void CpuCollector::add(unsigned cpu, const arch::CpuidDump& dump) {
    const auto [at, added] = index_.try_emplace(without_live_fields(dump), groups_.size());
    if (added) {
        groups_.push_back({{}, dump});
        entries_ += dump.size();
    }
    groups_[at->second].cpus.push_back(cpu);
}

std::vector<CpuGroup> CpuCollector::groups() const {
    std::vector<CpuGroup> result;
    result.reserve(groups_.size());
    for (const Group& group : groups_) result.push_back({format_cpu_list(group.cpus), group.dump});
    return result;
}

Result<std::optional<XsaveLayout>> xsave_layout(const arch::CpuidDump& dump, std::optional<std::uint64_t> enabled) {
    const auto leaf1 = arch::find(dump, 1);
    XsaveLayout layout;
    layout.xcr0_enabled = enabled.has_value();
    layout.xcr0 = enabled.value_or(0);
    // No XSAVE, or the system left it off: no program can use an area, and that is knowledge, not ignorance.
    if (leaf1 && (leaf1->ecx & kXsaveBit) == 0) return layout;
    if (leaf1 && enabled && (leaf1->ecx & kOsxsaveBit) == 0) return layout;
    const auto main = arch::find(dump, 0xd, 0);
    if (!main || main->eax == 0) return std::nullopt;

    const std::uint64_t supported = std::uint64_t{main->edx} << 32U | main->eax;
    if (main->ebx > kMaximumXsaveSize || main->ecx > kMaximumXsaveSize) {
        return usage_error("absurd XSAVE layout", "CPUID leaf 0xd, subleaf 0",
                           fmt::format("area of {} bytes", std::max(main->ebx, main->ecx)));
    }
    layout.xcr0 = enabled.value_or(supported);
    layout.maximum_size = std::max(main->ebx, main->ecx);
    layout.standard_size = enabled ? main->ebx : layout.maximum_size;
    for (unsigned number = 2; number <= kMaximumXsaveComponent; ++number) {
        const auto registers = arch::find(dump, 0xd, number);
        if (!registers || registers->eax == 0) continue;
        auto component = component_of(number, *registers);
        if (!component) return std::unexpected(component.error());
        layout.components.emplace(number, *component);
    }
    const auto extension = arch::find(dump, 0xd, 1);
    if (extension && (extension->eax & 2U) != 0) {  // XSAVEC
        if (extension->ebx > kMaximumXsaveSize) {
            return usage_error("absurd XSAVE layout", "CPUID leaf 0xd, subleaf 1",
                               fmt::format("compacted area of {} bytes", extension->ebx));
        }
        layout.compacted_size = extension->ebx;
        if (!enabled) layout.compacted_size = std::max(extension->ebx, compacted_size_of(layout, supported));
    }
    return layout;
}

arch::FeatureSet known_from_cpuid(const arch::CpuidDump& dump) {
    const auto& table = arch::table(arch::Architecture::x86_64);
    FeatureSet known;
    for (std::size_t i = 0; i < table.features().size(); ++i) {
        const arch::FeatureId id{static_cast<std::uint16_t>(i)};
        const auto places = table[id].cpuid;
        if (std::ranges::any_of(places, [&](const arch::CpuidPlace& place) { return tells(dump, place); })) {
            known.insert(id);
        }
    }
    return known;
}

Derived derive_features(arch::Architecture architecture, std::span<const CpuGroup> cpus,
                        std::optional<std::uint64_t> xcr0, std::span<const std::optional<std::uint64_t>> hwcap) {
    const auto& table = arch::table(architecture);
    Derived derived;
    if (!cpus.empty()) {
        derived.features = derived.known = table.all();
        for (const CpuGroup& group : cpus) {
            derived.features &= table.from_cpuid(group.cpuid, xcr0);
            derived.known &= known_from_cpuid(group.cpuid);
        }
    }
    const FeatureSet from_cpuid = derived.known;
    FeatureSet in_words;
    for (std::size_t word = 0; word < hwcap.size(); ++word) {
        if (hwcap[word]) in_words |= table.in_hwcap_word(static_cast<std::uint8_t>(word));
    }
    // A feature in both channels must be in both: the kernel clears what it does not support (FSGSBASE) or was told
    // to leave off, while CPUID goes on showing it.
    const FeatureSet shown = table.from_hwcap(hwcap);
    derived.features = (derived.features - in_words) | (derived.features & shown) |
                       ((in_words - from_cpuid) & shown);
    derived.known |= in_words;
    derived.features &= derived.known;
    return derived;
}

std::vector<std::string> names(arch::Architecture architecture, const arch::FeatureSet& set) {
    const auto& table = arch::table(architecture);
    std::vector<std::string> result;
    set.for_each([&](arch::FeatureId id) { result.emplace_back(table[id].name); });
    std::ranges::sort(result);
    return result;
}

Result<void> complete_x86(NodeProfile& profile, std::optional<std::uint64_t> enabled_xcr0) {
    if (profile.cpus.empty()) return usage_error("no CPU described", profile.name);
    const CpuidDump& first = profile.cpus.front().cpuid;
    if (!arch::find(first, 0) || !arch::find(first, 1)) {
        return usage_error("incomplete CPUID", profile.name, "leaves 0 and 1 are missing",
                           "give the whole output of the tool");
    }
    const auto identity = arch::x86_identity(first);
    profile.identity = {printable(identity.vendor), printable(identity.brand), identity.family, identity.model,
                        identity.stepping};
    if ((arch::find(first, 1)->ecx & kHypervisorBit) != 0) {
        const auto head = arch::find(first, 0x40000000);
        profile.hypervisor = head ? vendor_text(*head, true) : "";
        if (profile.hypervisor.empty()) profile.hypervisor = "yes";
    }

    for (const CpuGroup& group : profile.cpus) {
        auto layout = xsave_layout(group.cpuid, enabled_xcr0);
        if (!layout) return std::unexpected(layout.error());
        if (&group == &profile.cpus.front()) {
            profile.xsave = *layout;
        } else if (!*layout) {
            profile.xsave.reset();
        } else if (profile.xsave) {
            widen(*profile.xsave, **layout, profile.notes, group.cpus);
        }
    }
    const auto xcr0 = profile.xsave ? std::optional(profile.xsave->xcr0) : std::nullopt;
    const Derived derived = derive_features(profile.architecture, profile.cpus, xcr0, profile.hwcap);
    profile.features = derived.features;
    profile.known = derived.known;
    note_differences(profile, xcr0);
    return {};
}

}  // namespace cpulevel::profile
