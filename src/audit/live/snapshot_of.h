// A Snapshot of a process that lives: /proc, and the registers of its threads where they are stopped.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>

#include "audit/live/stopped_process.h"
#include "audit/snapshot.h"
#include "util/error.h"

namespace cpulevel::audit::live {

// Errors: the process is gone (usage), or its memory may not be looked at (machine).
[[nodiscard]] Result<Snapshot> snapshot_of(std::span<const StoppedProcess::Thread> threads, pid_t pid,
                                           const profile::XsaveLayout* layout);

// Is it the supervisor or the front of a levelled tree, and portable (snapshot.h)? Ask before it is stopped: whom we trace has no
// record of its own to find it by.
[[nodiscard]] bool is_portable(pid_t pid);

// Where this machine's XSAVE components stand, as its CPUs tell it to us; nothing where it has none.
[[nodiscard]] std::optional<profile::XsaveLayout> layout_here();

[[nodiscard]] std::string process_name(pid_t pid);

}  // namespace cpulevel::audit::live
