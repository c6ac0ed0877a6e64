#include "engine/bpf/pins.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <filesystem>

#if CPULEVEL_BPF
#include <bpf/bpf.h>
#endif

namespace cpulevel::engine::bpf {

namespace {

constexpr const char* kRemoveByHand = "rm -r /sys/fs/bpf/cpulevel ends all attachments at once";

Result<Fd> open_map(const char* name) {
    const std::string path = std::string(kPinned) + "/maps/" + name;
    Fd fd(raw::open_map(path));
    if (!fd.valid()) return system_error(ErrorKind::machine, "cannot open a map of the BPF engine", path, "root can");
    return fd;
}

}  // namespace

namespace raw {
#if CPULEVEL_BPF
int open_map(const std::string& path) { return bpf_obj_get(path.c_str()); }
bool lookup(int map, const void* key, void* value) { return bpf_map_lookup_elem(map, key, value) == 0; }
bool update(int map, const void* key, const void* value) { return bpf_map_update_elem(map, key, value, BPF_ANY) == 0; }
bool remove(int map, const void* key) { return bpf_map_delete_elem(map, key) == 0; }
bool next_key(int map, const void* key, void* next) { return bpf_map_get_next_key(map, key, next) == 0; }
#else
int open_map(const std::string&) {
    errno = ENOSYS;
    return -1;
}
bool lookup(int, const void*, void*) { return false; }
bool update(int, const void*, const void*) { return false; }
bool remove(int, const void*) { return false; }
bool next_key(int, const void*, void*) { return false; }
#endif
}  // namespace raw

Result<void> require_bpffs() {
    struct statfs found{};
    if (::statfs(kBpffs, &found) == 0 && static_cast<std::uint64_t>(found.f_type) == BPF_FS_MAGIC) return {};
    return machine_error("the BPF file system is not mounted", kBpffs, {}, "mount -t bpf bpf /sys/fs/bpf");
}

Result<Fd> lock() {
    Fd folder(::open(kBpffs, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return system_error(ErrorKind::machine, "cannot open the BPF file system", kBpffs, "root can");
    int locked = 0;
    do locked = ::flock(folder.get(), LOCK_EX);
    while (locked != 0 && errno == EINTR);
    if (locked != 0) return system_error(ErrorKind::machine, "cannot lock the BPF file system", kBpffs);
    return folder;
}

bool is_installed() { return ::access(kPinned, F_OK) == 0; }

Result<void> remove_pins(const std::string& folder) {
    std::error_code failed;
    std::filesystem::remove_all(folder, failed);
    if (!failed) return {};
    return std::unexpected(Error{.kind = ErrorKind::machine, .what = "cannot remove the BPF engine's pins", .on = folder,
                                 .errno_value = failed.value(), .why = {}, .hint = "root can"});
}

Result<Maps> open_maps() {
    auto config = open_map("config");
    if (!config) return std::unexpected(config.error());
    const Map<__u32, cpulevel_config> settings(std::move(*config));
    cpulevel_config found{};
    if (!settings.get(0, found) || found.layout != CPULEVEL_LAYOUT) {
        return machine_error("what is attached was attached by another version of cpulevel", kPinned, {},
                             std::string("use that version, or: cpulevel detach --all (") + kRemoveByHand + ")");
    }
    auto scopes = open_map("scopes");
    auto trees = open_map("trees");
    auto members = open_map("members");
    auto counters = open_map("counters");
    auto failures = open_map("failures");
    auto again = open_map("config");
    for (const auto* each : {&scopes, &trees, &members, &counters, &failures, &again}) {
        if (!*each) return std::unexpected(each->error());
    }
    return Maps{.scopes = Map<__u64, cpulevel_scope>(std::move(*scopes)),
                .trees = Map<__u64, cpulevel_scope>(std::move(*trees)),
                .members = Map<__u32, __u64>(std::move(*members)),
                .counters = Map<__u32, __u64>(std::move(*counters)),
                .failures = Map<__u32, cpulevel_failure>(std::move(*failures)),
                .config = Map<__u32, cpulevel_config>(std::move(*again))};
}

}  // namespace cpulevel::engine::bpf
