// MKL_ENABLE_INSTRUCTIONS of Intel's MKL: the highest instruction set that it dispatches to.
#include "level/export/choice.h"
#include "level/export/format.h"

namespace cpulevel::level {

Result<Export> export_mkl(const Level& level, const ExportOptions& options) {
    return export_choice("mkl", "MKL_ENABLE_INSTRUCTIONS",
                         "MKL takes it on Intel CPUs only; on others it chooses its own code path", level, options);
}

}  // namespace cpulevel::level
