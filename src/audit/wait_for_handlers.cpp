#include "audit/audit.h"

namespace cpulevel::audit {

Result<Report> wait_until_out_of_handlers(pid_t pid, const Target& target, std::chrono::milliseconds, const ProcessOptions& options) {
    return audit_process(pid, target, options);
}

}  // namespace cpulevel::audit
