// What was seen of a process, and whether the target can take it. Pure.
#pragma once

#include <vector>

#include "audit/audit.h"
#include "audit/shown.h"
#include "audit/signal_frame.h"
#include "audit/snapshot.h"
#include "audit/target.h"

namespace cpulevel::audit {

// What the examination of a snapshot gives, by thread in its order.
struct Evidence {
    const Snapshot* process = nullptr;
    Shown shown;
    std::vector<FrameSearch> frames;
};

[[nodiscard]] Evidence examine(const Snapshot& process);
// Adds to the report.
void judge(const Evidence& evidence, const Target& target, Report& report);

// The parts (judge_threads.cpp, judge_start.cpp).
void judge_threads(const Evidence& evidence, const Target& target, Report& report);
void judge_start(const Evidence& evidence, const Target& target, Report& report);
[[nodiscard]] Finding finding_of(const Snapshot& process, pid_t thread, Kind kind, Severity severity);

}  // namespace cpulevel::audit
