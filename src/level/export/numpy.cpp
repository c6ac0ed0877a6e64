// NPY_DISABLE_CPU_FEATURES: names of what NumPy was built to choose from at run time. It refuses to hide what it was
// built to need (its baseline), and warns of names that it does not know.
#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_numpy(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("numpy", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    set_variable(result, "NPY_DISABLE_CPU_FEATURES", join(view->names_to_hide(), " "), ' ');
    result.notes.emplace_back("names of NumPy " + to_text(view->version()) +
                              " as it is built by default; another one: --for numpy=VERSION. Its BLAS is a library of its own");
    return result;
}

}  // namespace cpulevel::level
