// gVisor's annotation dev.gvisor.internal.cpufeatures: the features that a sandbox may have, of those of the host.
#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_gvisor(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("gvisor", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->showing({});
    result.text = "dev.gvisor.internal.cpufeatures=" + join(view->names_to_show(), ",") + "\n";
    return result;
}

}  // namespace cpulevel::level
