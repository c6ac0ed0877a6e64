#include "level/xsave_area.h"

#include <fmt/format.h>

#include <algorithm>

#include "level/feature_text.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using profile::NodeProfile;
using profile::XsaveComponent;

// Intel SDM vol. 1 section 13.1; AMD APM vol. 2 section 11.5.2.
std::string_view component_name(unsigned component) {
    switch (component) {
        case 2: return "AVX";
        case 3: return "MPX bound registers";
        case 4: return "MPX configuration";
        case 5: return "AVX-512 masks";
        case 6: return "AVX-512 upper halves of ZMM0-15";
        case 7: return "AVX-512 ZMM16-31";
        case 9: return "PKRU";
        case 11: return "CET user state";
        case 17: return "AMX tile configuration";
        case 18: return "AMX tile data";
        case 19: return "APX registers";
        case 62: return "LWP";
        default: return "unnamed";
    }
}

std::optional<std::uint32_t> offset_on(const NodeArea& area, unsigned component) {
    if (component == kAvxComponent && (area.layout == nullptr || !area.layout->components.contains(component))) {
        return kFirstComponentOffset;
    }
    if (area.layout == nullptr) return std::nullopt;
    const auto at = area.layout->components.find(component);
    if (at == area.layout->components.end() || at->second.offset == 0) return std::nullopt;
    return at->second.offset;
}

}  // namespace

NodeArea area_of(const arch::FeatureTable& table, const NodeProfile& node) {
    NodeArea area;
    const auto osxsave = table.find("osxsave");
    if (!osxsave) return area;
    // A description that cannot say whether the system uses XSAVE is taken to hide an area.
    area.in_use = node.features.contains(*osxsave) || !node.known.contains(*osxsave);
    if (!area.in_use || !node.xsave) return area;
    const profile::XsaveLayout& layout = *node.xsave;
    // What the CPU supports is the bound where the source does not tell what the system enabled.
    area.standard = layout.xcr0_enabled ? layout.standard_size : std::max(layout.standard_size, layout.maximum_size);
    area.compacted = layout.compacted_size;
    if (area.standard != 0) area.layout = &layout;
    return area;
}

std::uint64_t components_of(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    std::uint64_t components = kLegacyComponents;
    set.for_each([&](arch::FeatureId id) { components |= table[id].xcr0; });
    return components;
}

std::optional<LayoutConflict> layout_conflict(const arch::FeatureTable& table, std::span<const NodeProfile> nodes,
                                              unsigned component) {
    LayoutConflict conflict;
    conflict.component = component;
    std::map<std::uint32_t, std::vector<std::string>> places;
    for (const NodeProfile& node : nodes) {
        if (const auto offset = offset_on(area_of(table, node), component)) {
            places[*offset].push_back(node.name);
        } else {
            conflict.undescribed.push_back(node.name);
        }
    }
    if (places.size() > 1) {
        std::vector<std::string> parts;
        for (const auto& [offset, names] : places) {
            parts.push_back(fmt::format("at byte {} on {}", offset, name_some(names, 4)));
        }
        conflict.detail = fmt::format("XSAVE component {} ({}) is {}", component, component_name(component),
                                      join(parts, ", "));
        return conflict;
    }
    if (conflict.undescribed.empty()) return std::nullopt;
    conflict.unknown = true;
    conflict.detail = fmt::format("where XSAVE component {} ({}) stands is not told by {}", component,
                                  component_name(component), name_some(conflict.undescribed, 4));
    return conflict;
}

std::optional<Largest> largest_area(const arch::FeatureTable& table, std::span<const NodeProfile> nodes,
                                    std::vector<std::string>& warnings) {
    std::optional<Largest> largest;
    for (const NodeProfile& node : nodes) {
        const NodeArea area = area_of(table, node);
        if (!area.in_use) continue;
        Largest here{area.standard, node.name};
        if (here.bytes == 0) {
            here = {arch::known_maxima().xsave_area, "data"};
            warnings.push_back(fmt::format(
                "{}: its description does not give the size of the XSAVE area; the largest of any known CPU, {} bytes, "
                "is taken. Scan the machine for its own",
                node.name, here.bytes));
        }
        if (!largest || here.bytes > largest->bytes) largest = here;
    }
    return largest;
}

void fill_xsave(const arch::FeatureTable& table, std::span<const NodeProfile> nodes, const Largest& area,
                Level& level) {
    LevelXsave xsave;
    xsave.visible = components_of(table, level.features);
    xsave.standard_size = static_cast<std::uint32_t>(area.bytes);
    xsave.largest_node = area.node;
    const bool compact = contains(table, level.features, "xsavec");
    for (const NodeProfile& node : nodes) {
        const NodeArea here = area_of(table, node);
        if (compact) xsave.compacted_size = std::max(xsave.compacted_size, here.compacted);
        if (here.layout == nullptr) continue;
        for (const auto& [number, component] : here.layout->components) {
            if (component.supervisor || number > 62) continue;  // bit 63 of XCR0 is no component
            const bool visible = ((xsave.visible >> number) & 1U) != 0;
            const bool enabled = !here.layout->xcr0_enabled || ((here.layout->xcr0 >> number) & 1U) != 0;
            if (!visible && !enabled) continue;
            XsaveComponent& entry = (visible ? xsave.components : xsave.reserved)[number];
            entry.size = std::max(entry.size, component.size);
            entry.offset = visible ? component.offset : 0;
            entry.aligned = entry.aligned || component.aligned;
        }
    }
    if (((xsave.visible >> kAvxComponent) & 1U) != 0 && !xsave.components.contains(kAvxComponent)) {
        xsave.components[kAvxComponent] = {.size = 256, .offset = kFirstComponentOffset};
    }
    level.xsave = std::move(xsave);
}

void write_leaf_d(const LevelXsave& xsave, arch::CpuidDump& cpuid) {
    constexpr std::uint32_t kLeaf = 0xD;
    cpuid[{kLeaf, 0}] = {.eax = static_cast<std::uint32_t>(xsave.visible),
                         .ebx = xsave.standard_size,
                         .ecx = xsave.standard_size,
                         .edx = static_cast<std::uint32_t>(xsave.visible >> 32U)};
    cpuid[{kLeaf, 1}].ebx = xsave.compacted_size;  // bits of EAX: features; no supervisor state (ECX, EDX)
    cpuid[{kLeaf, 1}].ecx = 0;
    cpuid[{kLeaf, 1}].edx = 0;
    for (const auto* components : {&xsave.components, &xsave.reserved}) {
        for (const auto& [number, component] : *components) {
            cpuid[{kLeaf, number}] = {.eax = component.size,
                                      .ebx = component.offset,
                                      .ecx = component.aligned ? 2U : 0U,
                                      .edx = 0};
        }
    }
}

}  // namespace cpulevel::level
