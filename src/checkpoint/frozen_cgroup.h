// A cgroup of version 2 that is frozen: CRIU has to be told which (--freeze-cgroup), or waits for ever for processes to
// stop.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace cpulevel::checkpoint {

// The folder of a process's cgroup: from our /proc/self/mountinfo and its /proc/PID/cgroup. Version 2 is mounted at
// /sys/fs/cgroup, beside version 1 at /sys/fs/cgroup/unified, or where somebody likes it. None: not mounted, or not in
// what is.
[[nodiscard]] std::optional<std::string> cgroup_folder(std::string_view mounts, std::string_view cgroups);

// The frozen cgroup that this process is in, or below; none: it is not frozen.
[[nodiscard]] std::optional<std::string> frozen_cgroup(pid_t process);

}  // namespace cpulevel::checkpoint
