#include "checkpoint/frozen_cgroup.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

bool has_line(const std::filesystem::path& file, std::string_view line) {
    const auto text = read_file(file);
    if (!text) return false;
    const auto lines = split(*text, '\n');
    return std::ranges::find(lines, line) != lines.end();
}

// What of a cgroup's path lies below the mounted one; the path of that itself is empty.
std::optional<std::string_view> below(std::string_view path, std::string_view mounted) {
    if (mounted == "/") return path == "/" ? std::string_view{} : path;
    if (!path.starts_with(mounted)) return std::nullopt;
    path.remove_prefix(mounted.size());
    if (!path.empty() && path.front() != '/') return std::nullopt;
    return path;
}

}  // namespace

std::optional<std::string> cgroup_folder(std::string_view mounts, std::string_view cgroups) {
    for (const std::string_view line : split(cgroups, '\n')) {
        if (!line.starts_with("0::/")) continue;
        // "36 35 0:28 ROOT PLACE OPTIONS... - TYPE SOURCE OPTIONS" (proc_pid_mountinfo(5))
        for (const std::string_view mount : split(mounts, '\n')) {
            if (mount.find(" - cgroup2 ") == std::string_view::npos) continue;
            const auto words = split(mount, ' ');
            const auto rest = words.size() > 4 ? below(line.substr(3), words[3]) : std::nullopt;
            if (rest) return std::string(words[4]) + std::string(*rest);
        }
    }
    return std::nullopt;
}

std::optional<std::string> frozen_cgroup(pid_t process) {
    const auto mounts = read_file("/proc/self/mountinfo");
    const auto cgroups = read_file(fmt::format("/proc/{}/cgroup", process));
    if (!mounts || !cgroups) return std::nullopt;
    const auto folder = cgroup_folder(*mounts, *cgroups);
    if (!folder || !has_line(*folder + "/cgroup.events", "frozen 1")) return std::nullopt;
    // It is frozen with a cgroup above it, perhaps: that one is to be thawed.
    for (std::filesystem::path above = *folder; above.has_relative_path(); above = above.parent_path()) {
        if (has_line(above / "cgroup.freeze", "1")) return above.string();
    }
    return folder;
}

}  // namespace cpulevel::checkpoint
