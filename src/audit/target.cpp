#include "audit/target.h"

#include <algorithm>

#include "audit/xstate.h"
#include "level/feature_text.h"
#include "level/meet.h"

namespace cpulevel::audit {
namespace {

// The end of the last of these components, where all of them have a place.
std::optional<std::uint32_t> end_of(std::uint64_t components, const std::map<unsigned, profile::XsaveComponent>& places) {
    std::uint32_t end = kLegacyRegion + kXsaveHeader;
    for (unsigned number = 2; number < 63; ++number) {
        if (((components >> number) & 1U) == 0) continue;
        const auto at = places.find(number);
        if (at == places.end() || at->second.offset == 0) return std::nullopt;
        end = std::max(end, at->second.offset + at->second.size);
    }
    return end;
}

}  // namespace

Target target_of(const level::Level& level) {
    Target target;
    target.name = level.name;
    target.architecture = level.architecture;
    target.features = level.features;
    target.known = arch::table(level.architecture).all();
    target.hwcap = level.hwcap;
    target.minimum_signal_stack = level.minimum_signal_stack;
    target.registers = level.registers;
    if (level.architecture != arch::Architecture::x86_64) return target;
    if (level.xsave) {
        target.components = level.xsave->visible | kLegacyComponents;
        target.places = level.xsave->components;
        target.largest_area = level.xsave->standard_size;
        target.largest_compacted_area = level.xsave->compacted_size;
    } else {
        target.components = kLegacyComponents;  // some machine of the level may not even have XSAVE
    }
    target.frame_state = end_of(*target.components, target.places);
    return target;
}

Target target_of(const profile::NodeProfile& node) {
    Target target;
    target.name = node.name;
    target.architecture = node.architecture;
    target.features = node.features;
    target.known = node.known;
    target.hwcap = node.hwcap;
    target.minimum_signal_stack = node.minimum_signal_stack;
    target.registers = node.registers;
    if (node.architecture != arch::Architecture::x86_64) return target;
    const arch::FeatureTable& table = arch::table(node.architecture);
    const auto osxsave = table.find("osxsave");
    const bool has_not = osxsave && node.known.contains(*osxsave) && !node.features.contains(*osxsave);
    if (has_not) {
        target.components = kLegacyComponents;
        target.frame_state = kLegacyRegion;  // FXSAVE only: any extended part of a frame is left aside
        target.largest_area = target.largest_compacted_area = 0;
    } else if (node.xsave) {
        const profile::XsaveLayout& layout = *node.xsave;
        target.places = layout.components;
        target.largest_area = std::max(layout.standard_size, layout.xcr0_enabled ? 0U : layout.maximum_size);
        target.largest_compacted_area = layout.compacted_size;
        // Tile data are not in a process's frames before it has asked for permission.
        if (layout.xcr0_enabled) {
            target.components = layout.xcr0;
            target.frame_state = end_of(layout.xcr0 & ~kTileBits, layout.components);
        }
    }
    return target;
}

}  // namespace cpulevel::audit
