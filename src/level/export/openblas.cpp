// OPENBLAS_CORETYPE: whose kernels an OpenBLAS that was built for many CPUs (DYNAMIC_ARCH) takes.
#include "level/export/choice.h"
#include "level/export/format.h"

namespace cpulevel::level {

Result<Export> export_openblas(const Level& level, const ExportOptions& options) {
    return export_choice("openblas", "OPENBLAS_CORETYPE", "of effect where OpenBLAS was built with DYNAMIC_ARCH, as in Debian",
                         level, options);
}

}  // namespace cpulevel::level
