// Who is in a tree, from /proc.
#pragma once

#include <sys/types.h>

#include <vector>

#include "engine/process_family.h"

namespace cpulevel::engine::ptrace {

// Every process that this one can see. Zombies are left out.
[[nodiscard]] std::vector<ProcessParent> all_processes();
[[nodiscard]] std::vector<pid_t> threads_of(pid_t process);  // /proc/PID/task, by number; empty: gone

// Do the two processes use one memory image (CLONE_VM)? Unknown counts as no.
[[nodiscard]] bool share_memory(pid_t one, pid_t other);

// Is the process in a cgroup of version 1 that is frozen (or freezing)? Its threads cannot be stopped then.
[[nodiscard]] bool frozen_by_cgroup_v1(pid_t process);

}  // namespace cpulevel::engine::ptrace
