#include "engine/bpf/engine_maps.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "engine/bpf/refusal.h"
#include "engine/probe/probes.h"

namespace cpulevel::engine::bpf {

Result<std::uint64_t> cgroup_id(const std::string& folder) {
    struct statfs system{};
    struct stat status{};
    if (::statfs(folder.c_str(), &system) != 0 || ::stat(folder.c_str(), &status) != 0) {
        return system_error(ErrorKind::usage, "cannot look at the cgroup", folder);
    }
    if (static_cast<std::uint64_t>(system.f_type) != CGROUP2_SUPER_MAGIC || !S_ISDIR(status.st_mode)) {
        return usage_error("not a folder of the cgroup v2 file system", folder, {}, "such as /sys/fs/cgroup/system.slice");
    }
    return status.st_ino;
}

Result<Fd> begin_change() {
#if CPULEVEL_BPF
    // What is installed was allowed; only where nothing is, it is found out by trying, so that the refusal that cannot be
    // mended by mounting something is the one that is told.
    if (!is_installed()) {
        const Capability bpf = probe::bpf("");
        if (bpf.works != Works::yes) return std::unexpected(refusal({.bpf = bpf, .errno_value = 0, .step = {}, .log = {}}));
    }
    if (auto mounted = require_bpffs(); !mounted) return std::unexpected(mounted.error());
    return lock();
#else
    return std::unexpected(built_without());
#endif
}

Result<Maps> maps_in_use() {
    if (!is_installed()) {
        if (::access(kBpffs, R_OK | X_OK) != 0 && ::geteuid() != 0) {
            return machine_error("cannot look into the BPF file system", kBpffs, "it is for root", "run this as root");
        }
        return usage_error("nothing is attached");
    }
    return open_maps();
}

}  // namespace cpulevel::engine::bpf
