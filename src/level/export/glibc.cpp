// GLIBC_TUNABLES. x86: glibc.cpu.hwcaps takes names with '-' in front; the loader and the string functions then do as if
// the CPU lacked them. arm64 has whole settings for two features, and none for the others.
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_glibc(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("glibc", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    std::vector<std::string> settings;
    std::vector<std::string> hidden;
    for (const std::string& name : view->names_to_hide()) hidden.push_back("-" + name);
    if (const auto takes_names = view->entries(EntryKind::setting); !hidden.empty() && !takes_names.empty()) {
        settings.push_back(fmt::format("{}={}", takes_names.front()->name, join(hidden, ",")));
    }
    for (const ToolEntry* entry : view->entries(EntryKind::value)) {
        if (!view->shown(*entry)) settings.emplace_back(entry->name);
    }
    set_variable(result, "GLIBC_TUNABLES", join(settings, ":"), ':');
    result.notes.emplace_back(
        view->is_x86() ? "a glibc that was built for a higher level (-march=x86-64-v3) uses that level's instructions whatever it "
                         "is told; setuid programs ignore GLIBC_TUNABLES"
                       : "on arm64 glibc has no names for other features: its string functions use what the kernel tells");
    return result;
}

}  // namespace cpulevel::level
