#include "level/export/choice.h"

namespace cpulevel::level {

Result<Export> export_choice(std::string_view tool, std::string variable, std::string note, const Level& level,
                             const ExportOptions& options) {
    const auto view = ToolView::open(tool, level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    if (!note.empty()) result.notes.push_back(std::move(note));
    const ToolEntry* const choice = view->best_choice();
    if (choice == nullptr) {
        result.notes.push_back(variable + " has no word for so little: it is left out");
        return result;
    }
    arch::FeatureSet all;
    for (const ToolEntry* entry : view->entries(EntryKind::choice)) all |= ToolView::features(*entry);
    result.cannot_show = (all - ToolView::features(*choice)) & level.features;
    set_variable(result, std::move(variable), std::string(choice->name));
    return result;
}

}  // namespace cpulevel::level
