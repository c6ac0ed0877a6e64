// -XX:CPUFeatures=A,B of OpenJDK with CRaC: the features that the JVM (A) and its glibc (B) may use, so that a checkpoint
// can be restored on other machines. The bits are the JVM's own, and some of B differ among builds (data/exports).
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/tool_view.h"

namespace cpulevel::level {

Result<Export> export_crac(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("crac", level, options);
    if (!view) return std::unexpected(view.error());
    Export result;
    result.version = view->version();
    const auto words = view->words();
    result.text = fmt::format("-XX:CPUFeatures={:#x},{:#x}\n", words.at(0).shown, words.at(1).shown);
    const arch::FeatureSet ambiguous = [&] {
        arch::FeatureSet set;
        for (const ToolEntry* entry : view->entries(EntryKind::bit)) {
            if (entry->features.size() > 1 && !view->shown(*entry)) set |= ToolView::features(*entry);
        }
        return set;
    }();
    result.cannot_show = ambiguous & level.features;
    result.notes.emplace_back(
        "bits that have two meanings among builds are set only where the level shows both; the JVM names the exact value in "
        "the message of a refused restore");
    return result;
}

}  // namespace cpulevel::level
