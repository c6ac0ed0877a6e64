// What /proc says of how processes hang together. Pure: who asks has read the files.
#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

namespace cpulevel::engine {

struct ProcessParent {
    pid_t process = 0, parent = 0;
};

// The roots that are in the list, and all that descend from them; parents before their children. Entries that were read one
// after the other may form a ring, when numbers are used again meanwhile.
[[nodiscard]] std::vector<pid_t> family_of(std::span<const pid_t> roots, std::span<const ProcessParent> all);

// A process has a number in each pid namespace that it is seen from: the one that it has itself, by its /proc/PID/status
// (NSpid, the last). `seen_as` on a kernel without pid namespaces; 0 where it is no number.
[[nodiscard]] pid_t own_number(std::string_view status, pid_t seen_as);

}  // namespace cpulevel::engine
