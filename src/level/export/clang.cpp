// Options for clang.
#include "level/export/compilers.h"
#include "level/export/format.h"

namespace cpulevel::level {

Result<Export> export_clang(const Level& level, const ExportOptions& options) { return export_compiler("clang", level, options); }

}  // namespace cpulevel::level
