// Options for gcc.
#include "level/export/compilers.h"
#include "level/export/format.h"

namespace cpulevel::level {

Result<Export> export_gcc(const Level& level, const ExportOptions& options) { return export_compiler("gcc", level, options); }

}  // namespace cpulevel::level
