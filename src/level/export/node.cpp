// V8 options. They have to be on node's command line: NODE_OPTIONS does not take them.
#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_node(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("node", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    result.text = join(view->names_to_hide(), " ") + "\n";
    result.notes.emplace_back("for node's command line; NODE_OPTIONS refuses them. The OpenSSL in node takes OPENSSL_ia32cap");
    return result;
}

}  // namespace cpulevel::level
