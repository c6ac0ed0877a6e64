#include "engine/bpf/process_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "engine/process_family.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine::bpf {

namespace {

constexpr ino_t kFirstPidNamespace = 0xeffffffc;  // PROC_PID_INIT_INO, include/linux/proc_ns.h

}  // namespace

Result<pid_t> thread_group(pid_t task, const std::string& proc) {
    const auto status = read_file(fmt::format("{}/{}/status", proc, task));
    const auto group = status ? parse_decimal(status_field(*status, "Tgid")) : std::nullopt;
    if (!group) return usage_error("no such process", std::to_string(task));
    return static_cast<pid_t>(*group);
}

std::vector<pid_t> descendants(pid_t process, const std::string& proc) {
    // Itself in any case: its /proc entry may be unreadable.
    std::vector<ProcessParent> all{{.process = process}};
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator(proc, failed)) {
        const auto pid = parse_decimal(entry.path().filename().string());
        if (!pid) continue;
        const auto status = read_file(entry.path() / "status");  // gone meanwhile: not alive
        if (!status) continue;
        if (const auto parent = parse_decimal(status_field(*status, "PPid"))) {
            all.push_back({static_cast<pid_t>(*pid), static_cast<pid_t>(*parent)});
        }
    }
    return family_of(std::span(&process, 1), all);
}

bool in_first_pid_namespace(const std::string& proc) {
    struct stat status{};
    return ::stat((proc + "/self/ns/pid").c_str(), &status) == 0 && status.st_ino == kFirstPidNamespace;
}

std::size_t processes_in_cgroup(const std::string& folder) {
    std::size_t count = 0;
    const auto add = [&](const std::filesystem::path& group) {
        const auto processes = read_file(group / "cgroup.procs");
        if (processes) count += static_cast<std::size_t>(std::ranges::count(*processes, '\n'));
    };
    add(folder);
    std::error_code failed;
    for (auto at = std::filesystem::recursive_directory_iterator(folder, failed);
         !failed && at != std::filesystem::recursive_directory_iterator(); at.increment(failed)) {
        if (at->is_directory(failed)) add(at->path());
    }
    return count;
}

}  // namespace cpulevel::engine::bpf
