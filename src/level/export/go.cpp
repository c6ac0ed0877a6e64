// GODEBUG=cpu.X=off, for programs built by Go: their runtime and standard library then do without X.
#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_go(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("go", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    std::vector<std::string> fields;
    for (const std::string& name : view->names_to_hide()) fields.push_back("cpu." + name + "=off");
    set_variable(result, "GODEBUG", join(fields, ","), ',');
    if (view->is_x86()) {
        result.notes.emplace_back(
            "a program built with a higher GOAMD64 has that level's instructions in it and complains of the names; "
            "packages with detection of their own (golang.org/x/sys/cpu takes GODEBUG too, others do not) are not reached");
    }
    return result;
}

}  // namespace cpulevel::level
