// `qemu -cpu`. x86: the model "base" has nothing, so that exactly the named features are there, whatever the version of
// QEMU; a guest's kernel gets what it cannot do without. arm64 models have fixed features: the richest that shows
// nothing hidden.
#include <fmt/format.h>

#include <algorithm>

#include "level/export/guest.h"
#include "level/export/format.h"
#include "util/text.h"

namespace cpulevel::level {

namespace {

// A comma ends a property, and what follows would be one more, "+avx512f" for instance. Other options of QEMU take a doubled one
// for itself; -cpu does not (x86_cpu_parse_featurestr(), target/i386/cpu.c, splits by strtok()).
std::string without_commas(std::string text) {
    std::ranges::replace(text, ',', ' ');
    return text;
}

// Programs that look at vendor and model see the node that the level is like; without one QEMU's own.
std::string identity_of(const Level& level) {
    if (!level.identity) return "";
    const profile::Identity& identity = *level.identity;
    constexpr std::size_t vendor_size = 12;  // QEMU refuses another length
    std::string text;
    if (identity.vendor.size() == vendor_size) text += ",vendor=" + without_commas(printable(identity.vendor));
    text += fmt::format(",family={},model={},stepping={}", identity.family, identity.model, identity.stepping);
    constexpr std::size_t brand_size = 48;  // leaves 0x80000002 to 4
    if (const auto brand = trim(identity.brand); !brand.empty()) {
        text += ",model-id=" + without_commas(printable(brand.substr(0, brand_size), brand_size));
    }
    return text;
}

}  // namespace

Result<Export> export_qemu(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("qemu", level, options);
    if (!view) return std::unexpected(view.error());
    if (!view->is_x86()) {
        const auto model = fixed_model(*view, "QEMU");
        if (!model) return std::unexpected(model.error());
        Export result = view->showing(ToolView::features(**model));
        result.text = fmt::format("{}\n", (*model)->name);
        return result;
    }
    Export result = view->showing({});
    result.for_kernel = view->features(EntryKind::kernel) - level.features;
    std::string text = "base";
    for (const ToolEntry* entry : view->entries(EntryKind::show)) {
        const arch::FeatureSet features = ToolView::features(*entry);
        if (features.is_subset_of(level.features | result.for_kernel)) text += fmt::format(",+{}", entry->name);
    }
    result.text = text + identity_of(level) + "\n";
    return result;
}

}  // namespace cpulevel::level
