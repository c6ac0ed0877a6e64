// A report of a fleet that was met: what each type costs, the way up, pools.
#pragma once

#include <span>

#include "fleet/pools.h"
#include "fleet/types.h"
#include "report/report.h"

namespace cpulevel::report {

// Types of a fleet that a level and a reader cannot tell apart are one: other steppings, microcode, sources of the
// description. What decides about the features of any level stays apart.
[[nodiscard]] fleet::Fleet merge_alike(const fleet::Fleet& fleet);

// `meet` is the meet of the fleet's representatives by `options`; `fleet` is merged already, and `splits` are pools of
// it. Made and version are left empty.
[[nodiscard]] Report collect(const level::Meet& meet, const fleet::Fleet& fleet, const level::MeetOptions& options,
                             std::span<const fleet::Pools> splits);

}  // namespace cpulevel::report
