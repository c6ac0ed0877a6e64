// A process has a number in each pid namespace that it is seen from. CRIU's images, and so cpulevel.json, have the one
// that the process has itself.
#pragma once

#include <sys/types.h>

#include <map>
#include <vector>

namespace cpulevel::checkpoint {

[[nodiscard]] pid_t own_number(pid_t process);  // 0: it is gone

// `root` and all below it: by their own numbers, as we see them.
[[nodiscard]] std::map<pid_t, pid_t> by_own_number(pid_t root);

}  // namespace cpulevel::checkpoint
