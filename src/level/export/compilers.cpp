#include "level/export/compilers.h"

#include <fmt/format.h>

#include <algorithm>

#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

namespace {

// x86: the base that needs the fewest further options.
std::string x86_options(const ToolView& view, const ToolEntry& base, const arch::FeatureSet& wanted) {
    const arch::FeatureSet has = ToolView::features(base);
    std::vector<std::string> off;
    std::vector<std::string> on;
    for (const ToolEntry* entry : view.entries(EntryKind::show)) {
        const arch::FeatureSet feature = ToolView::features(*entry);
        if (feature.is_subset_of(wanted - has)) on.push_back(fmt::format("-m{}", entry->name));
        if (feature.is_subset_of(has - wanted)) off.push_back(fmt::format("-mno-{}", entry->name));
    }
    // Switching something off takes what needs it with it, and switching on brings what it needs: off comes first.
    std::string text = fmt::format("-march={}", base.name);
    for (const auto* const words : {&off, &on}) {
        for (const std::string& word : *words) text += " " + word;
    }
    return text + "\n";
}

std::string arm64_options(const ToolView& view, const ToolEntry& base, const arch::FeatureSet& wanted) {
    std::string text = fmt::format("-march={}", base.name);
    for (const ToolEntry* entry : view.entries(EntryKind::show)) {
        const arch::FeatureSet features = ToolView::features(*entry);
        if (features.is_subset_of(wanted) && !features.is_subset_of(ToolView::features(base))) text += fmt::format("+{}", entry->name);
    }
    return text + "\n";
}

}  // namespace

Result<Export> export_compiler(std::string_view compiler, const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open(compiler, level, options);
    if (!view) return std::unexpected(view.error());
    const bool x86 = view->is_x86();
    const arch::FeatureSet wanted = level.features & (view->features(EntryKind::show) | view->features(EntryKind::base));
    const auto cost = [&](const ToolEntry* base) {
        const arch::FeatureSet has = ToolView::features(*base);
        return (wanted - has).size() + (has - wanted).size();
    };
    std::vector<const ToolEntry*> bases = view->entries(EntryKind::base);
    // An architecture version of Arm cannot be taken apart: the base has to be within the level.
    if (!x86) std::erase_if(bases, [&](const ToolEntry* base) { return !view->shown(*base); });
    if (bases.empty()) {
        return std::unexpected(Error{ErrorKind::refused, fmt::format("{} has no -march for this level", compiler), level.name, 0,
                                     "it shows less than armv8-a", {}});
    }
    const ToolEntry* const base = *std::ranges::min_element(bases, {}, cost);
    Export result = view->showing(ToolView::features(*base));
    result.text = x86 ? x86_options(*view, *base, wanted) : arm64_options(*view, *base, wanted);
    result.notes.push_back(fmt::format("names of {} {}; another version: --for {}=VERSION", compiler, to_text(view->version()), compiler));
    return result;
}

}  // namespace cpulevel::level
