#include "level/export/guest.h"

#include <fmt/format.h>

#include "util/text.h"

namespace cpulevel::level {

Result<const ToolEntry*> fixed_model(const ToolView& view, std::string_view tool) {
    const arch::FeatureSet allowed = view.level().features | view.features(EntryKind::ambient);
    const ToolEntry* nearest = nullptr;
    for (const ToolEntry* entry : view.entries(EntryKind::choice)) {
        if (ToolView::features(*entry).is_subset_of(allowed)) return entry;
        if (nearest == nullptr ||
            (ToolView::features(*entry) - allowed).size() < (ToolView::features(*nearest) - allowed).size()) {
            nearest = entry;
        }
    }
    std::string why = "it knows no model";
    if (nearest != nullptr) {
        why = fmt::format("its models have fixed features; the nearest, {}, would also show {}", nearest->name,
                          join(names(view.table(), ToolView::features(*nearest) - allowed), ", "));
    }
    return std::unexpected(Error{ErrorKind::refused, fmt::format("{} has no model for this level", tool), view.level().name, 0,
                                 std::move(why), "run programs under the level inside the guest: cpulevel run"});
}

}  // namespace cpulevel::level
