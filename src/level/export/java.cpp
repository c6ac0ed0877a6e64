// JAVA_TOOL_OPTIONS for OpenJDK's HotSpot. UseAVX and UseSSE are ceilings over many features at once: the highest is
// taken under which nothing hidden is used.
#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_java(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("java", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    // What this JVM does not know (UseRTMLocking is going) must not keep it from starting.
    std::vector<std::string> words = {"-XX:+IgnoreUnrecognizedVMOptions"};
    arch::FeatureSet used;
    arch::FeatureSet ceilings;
    for (const unsigned group : {0U, 1U}) {
        const ToolEntry* const choice = view->best_choice(group);
        if (choice == nullptr) continue;
        words.emplace_back(choice->name);
        used |= ToolView::features(*choice);
    }
    for (const ToolEntry* entry : view->entries(EntryKind::choice)) ceilings |= ToolView::features(*entry);
    for (const std::string& name : view->names_to_hide()) words.push_back(name);
    result.cannot_show = (ceilings - used) & level.features;
    set_variable(result, "JAVA_TOOL_OPTIONS", join(words, " "), ' ');
    result.notes.emplace_back("the JVM says on standard error that it picked the options up");
    return result;
}

}  // namespace cpulevel::level
