// libvirt's <cpu>: a model, features that it lacks (require) and features that it has too much (disable). The model is the
// one that needs the fewest such lines.
#include <fmt/format.h>

#include <algorithm>

#include "level/export/format.h"
#include "level/export/guest.h"

namespace cpulevel::level {

namespace {

// The models and names are of XML's harmless characters; a level's name is not written into it.
std::string cpu_element(std::string_view model, const std::vector<std::string>& features) {
    std::string text = "<cpu mode='custom' match='exact' check='partial'>\n";
    text += fmt::format("  <model fallback='forbid'>{}</model>\n", model);
    for (const std::string& feature : features) text += "  " + feature + "\n";
    return text + "</cpu>\n";
}

}  // namespace

Result<Export> export_libvirt(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("libvirt", level, options);
    if (!view) return std::unexpected(view.error());
    if (!view->is_x86()) {
        const auto model = fixed_model(*view, "libvirt");
        if (!model) return std::unexpected(model.error());
        Export result = view->showing(ToolView::features(**model));
        result.text = cpu_element((*model)->name, {});
        return result;
    }
    Export result = view->showing({});
    result.for_kernel = view->features(EntryKind::kernel) - level.features;
    // What can be said of what is wanted, and what each model says of it.
    const arch::FeatureSet wanted = (level.features | result.for_kernel) & view->features(EntryKind::show);
    const auto lines = [&](const ToolEntry* model) {
        const arch::FeatureSet has = ToolView::features(*model);
        return (wanted - has).size() + (has - wanted).size();
    };
    const auto models = view->entries(EntryKind::base);
    const ToolEntry* const model = *std::ranges::min_element(models, {}, lines);
    const arch::FeatureSet has = ToolView::features(*model);
    std::vector<std::string> features;
    for (const ToolEntry* entry : view->entries(EntryKind::show)) {
        const arch::FeatureSet feature = ToolView::features(*entry);
        if (feature.is_subset_of(wanted - has)) {
            features.push_back(fmt::format("<feature policy='require' name='{}'/>", entry->name));
        } else if (feature.is_subset_of(has - wanted)) {
            features.push_back(fmt::format("<feature policy='disable' name='{}'/>", entry->name));
        }
    }
    result.text = cpu_element(model->name, features);
    return result;
}

}  // namespace cpulevel::level
