#include "audit/audit.h"

namespace cpulevel::audit {

Result<Report> wait_until_out_of_handlers(pid_t pid, const Target&, std::chrono::milliseconds, const ProcessOptions&) {
    return machine_error("cannot wait for handlers yet", std::to_string(pid));
}

}  // namespace cpulevel::audit
