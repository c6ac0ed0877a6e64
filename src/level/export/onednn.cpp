// ONEDNN_MAX_CPU_ISA of oneDNN (also inside PyTorch and TensorFlow).
#include "level/export/choice.h"
#include "level/export/format.h"

namespace cpulevel::level {

Result<Export> export_onednn(const Level& level, const ExportOptions& options) {
    return export_choice("onednn", "ONEDNN_MAX_CPU_ISA", "before version 2.5 the variable is DNNL_MAX_CPU_ISA", level, options);
}

}  // namespace cpulevel::level
