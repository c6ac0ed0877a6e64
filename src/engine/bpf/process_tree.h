// Which processes there are, from /proc: the kernel side follows forks only from the moment when it is attached.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "util/error.h"

namespace cpulevel::engine::bpf {

// The process that a task id belongs to (its own, for a process). An error if there is none.
[[nodiscard]] Result<pid_t> thread_group(pid_t task, const std::string& proc = "/proc");
// The process and all below it that are alive now.
[[nodiscard]] std::vector<pid_t> descendants(pid_t process, const std::string& proc = "/proc");
// BPF programs see the process ids of the machine's first PID namespace; are ours the same?
[[nodiscard]] bool in_first_pid_namespace(const std::string& proc = "/proc");
// In this cgroup and in all below it.
[[nodiscard]] std::size_t processes_in_cgroup(const std::string& folder);

}  // namespace cpulevel::engine::bpf
