// rr record's masks over the feature registers of CPUID: every bit that the level does not show is cleared.
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/tool_view.h"

namespace cpulevel::level {

Result<Export> export_rr(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("rr", level, options);
    if (!view) return std::unexpected(view.error());
    const auto words = view->words();
    const auto mask = [&](std::size_t i) { return words.at(i).known & ~words.at(i).shown; };
    Export result;
    result.text = fmt::format(
        "--disable-cpuid-features {:#x},{:#x} --disable-cpuid-features-ext {:#x},{:#x},{:#x} --disable-cpuid-features-xsave {:#x}\n",
        mask(0), mask(1), mask(2), mask(3), mask(4), mask(5));
    // Whatever stands in another register of CPUID is out of reach.
    arch::FeatureSet reached;
    const arch::FeatureTable& table = view->table();
    const arch::FeatureSet all = for_programs(table, table.all());
    all.for_each([&](arch::FeatureId id) {
        for (const arch::CpuidPlace& place : table[id].cpuid) {
            for (const ToolEntry* entry : view->entries(EntryKind::cpuid_register)) {
                if (place.leaf == entry->place.leaf && place.subleaf == entry->place.subleaf && place.reg == entry->place.reg) {
                    reached.insert(id);
                }
            }
        }
    });
    result.cannot_hide = all - reached - level.features;
    result.notes.emplace_back("rr needs CPUID faulting for it");
    return result;
}

}  // namespace cpulevel::level
