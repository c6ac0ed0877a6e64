// Levels attached to cgroups and process trees: what `attach`, `detach` and `status` do. Root only.
//
// An attachment counts for programs that are executed while it is there. What runs already keeps what it was told
// until its next exec, and so does what was told of a level that is detached.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/bpf/kernel_side.h"
#include "engine/bpf/layout.h"
#include "engine/engine.h"
#include "level/level.h"
#include "util/error.h"

namespace cpulevel::engine::bpf {

struct AttachOptions {
    const level::Level* level = nullptr;  // none: only inheritance of what programs set by prctl
    bool strict = false;
};

struct Attached {
    std::size_t running = 0;  // processes that are inside already: not changed until they execute a program
    std::vector<std::string> warnings;
};

// A folder of the cgroup v2 file system, with all cgroups below it, now and later. A level that is there is replaced.
[[nodiscard]] Result<Attached> attach_cgroup(const std::string& folder, const AttachOptions& options);
// A process, its descendants, and what they will start. Inside of another tree, both count.
[[nodiscard]] Result<Attached> attach_tree(pid_t pid, const AttachOptions& options);

// Each removes the kernel side with the last attachment.
[[nodiscard]] Result<void> detach_cgroup(const std::string& folder);
[[nodiscard]] Result<void> detach_cgroup_id(std::uint64_t id);  // also where the folder is gone
[[nodiscard]] Result<void> detach_tree(pid_t pid);              // the process that was attached, or any member
[[nodiscard]] Result<std::size_t> detach_all();                 // how many there were

struct Attachment {
    enum class Kind : std::uint8_t { cgroup, tree } kind = Kind::cgroup;
    std::uint64_t id = 0;  // cgroup id, or number of the tree
    pid_t root_pid = 0;    // trees: the process that was named; it may have ended
    std::string level;     // empty: inheritance only
    std::string target;    // as it was given
    bool strict = false;
    bool gone = false;            // cgroups: the folder is not there any more, or is another one
    std::uint64_t attached_at = 0;  // seconds since 1970
    std::uint64_t execs = 0, failures = 0;
    std::size_t members = 0;  // trees: processes now
};

struct Failure {
    std::uint32_t pid = 0;
    std::string program;
    std::string why;
    std::uint64_t boot_nanoseconds = 0;
};

struct Overview {
    std::vector<Attachment> attachments;
    std::uint64_t execs = 0, changed = 0, failures = 0, killed = 0, marks = 0, lost = 0, reads = 0, read_failures = 0;
    std::vector<Failure> last_failures;  // the newest first
    std::vector<ProgramCost> costs;
    Coverage coverage;
};

// Nothing if the engine is not in use. An error where it is and this user may not look.
[[nodiscard]] Result<std::optional<Overview>> overview();

}  // namespace cpulevel::engine::bpf
