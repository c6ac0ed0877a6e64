// Where this process runs: in a container, and with which CRIU.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine::probe {

std::optional<std::string> read_small_file(const std::string& root, const std::string& path) {
    constexpr std::size_t limit = 4U << 20U;  // /proc/cpuinfo of a machine with 1,000 CPUs has some 2 MB
    const auto content = read_file(root + path, limit);
    if (!content) return std::nullopt;
    return std::string(trim(*content));
}

namespace {

bool exists(const std::string& root, const std::string& path) {
    struct stat facts{};
    return ::stat((root + path).c_str(), &facts) == 0;
}

bool is_identity_map(std::string_view map) {
    std::vector<std::string_view> words;
    for (const std::string_view word : split(map, ' ')) {
        if (!trim(word).empty()) words.push_back(trim(word));
    }
    return words.size() == 3 && words[0] == "0" && words[1] == "0" && words[2] == "4294967295";
}

}  // namespace

ContainerFacts detect_container(const std::string& root) {
    ContainerFacts facts;
    const auto found = [&facts](std::string kind, std::string evidence) {
        if (!facts.kind.empty()) return;
        facts.kind = std::move(kind);
        facts.evidence = std::move(evidence);
    };
    // systemd's convention (https://systemd.io/CONTAINER_INTERFACE): the manager's name in this file.
    if (const auto kind = read_small_file(root, "/run/systemd/container"); kind && !kind->empty()) {
        found(printable(*kind, 40), "/run/systemd/container");
    }
    if (exists(root, "/run/.containerenv")) found("podman", "/run/.containerenv");
    if (exists(root, "/.dockerenv")) found("docker", "/.dockerenv");
    if (const auto environment = read_small_file(root, "/proc/1/environ")) {
        for (const std::string_view entry : split(*environment, '\0')) {
            if (entry.starts_with("container=") && entry.size() > 10) {
                found(printable(entry.substr(10), 40), "the environment of process 1");
            }
        }
    }
    if (const auto cgroup = read_small_file(root, "/proc/1/cgroup")) {
        for (const auto& [part, kind] : {std::pair{"/kubepods", "kubernetes"}, std::pair{"/docker", "docker"},
                                         std::pair{"/libpod", "podman"}, std::pair{"/lxc", "lxc"}}) {
            if (cgroup->find(part) != std::string::npos) found(kind, "/proc/1/cgroup");
        }
    }
    if (const auto map = read_small_file(root, "/proc/self/uid_map")) facts.user_namespace = !is_identity_map(*map);
    // In the first pid namespace kthreadd is process 2; seen from inside another one there is no kernel thread.
    const auto second = read_small_file(root, "/proc/2/comm");
    facts.pid_namespace = !second || *second != "kthreadd";
    return facts;
}

Capability container(const std::string& root) {
    Capability result{.id = "container", .title = "container", .works = Works::yes,
                      .gives = "information: a container limits some of the above", .missing = {}, .detail = {}};
    const ContainerFacts facts = detect_container(root);
    result.detail = facts.kind.empty() ? "none seen" : fmt::format("{} (by {})", facts.kind, facts.evidence);
    if (facts.pid_namespace) result.detail += "; a pid namespace of its own";
    if (facts.user_namespace) result.detail += "; a user namespace (uids are mapped)";
    const auto status = read_small_file(root, "/proc/self/status");
    if (status) {
        if (status_field(*status, "NoNewPrivs") == "1") {
            result.detail += "; no_new_privs is set: setuid programs get no privilege, levelled or not";
        }
        if (status_field(*status, "Seccomp") == "2") {
            result.detail += "; a seccomp filter is on";
        }
    }
    if (::getpid() == 1) result.detail += "; this is process 1: `run` reaps orphans and passes signals on";
    return result;
}

namespace {

struct Ran {
    std::string output;  // both streams
    ChildEnd end;
};

Ran run_tool(const std::string& path, const char* argument, std::chrono::milliseconds limit) {
    std::string program = path;
    std::string first = argument;
    std::array<char*, 3> arguments{program.data(), first.data(), nullptr};
    std::string locale = "LC_ALL=C";
    std::string search = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    std::array<char*, 3> environment{locale.data(), search.data(), nullptr};
    const RawAnswer raw = ask_child_raw(
        [&](int fd) {
            const int null = ::open("/dev/null", O_RDONLY);
            if (null >= 0) ::dup2(null, STDIN_FILENO);
            ::dup2(fd, STDOUT_FILENO);
            ::dup2(fd, STDERR_FILENO);
            ::execve(program.c_str(), arguments.data(), environment.data());
            ::_exit(127);
        },
        limit);
    return {raw.bytes, raw.end};
}

std::string find_in_path(std::string_view tool) {
    const char* path = std::getenv("PATH");
    for (const std::string_view folder : split(path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin", ':')) {
        if (!folder.starts_with('/')) continue;  // never from the current folder
        const std::string candidate = std::string(folder) + "/" + std::string(tool);
        struct stat facts{};
        if (::stat(candidate.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) && ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    for (const char* folder : {"/usr/sbin/", "/usr/local/sbin/"}) {
        const std::string candidate = folder + std::string(tool);
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return {};
}

std::string last_line(std::string_view text) {
    text = trim(text);
    const auto at = text.rfind('\n');
    return printable(at == std::string_view::npos ? text : text.substr(at + 1));
}

}  // namespace

Capability criu(bool run_check) {
    Capability result{.id = "criu", .title = "CRIU", .gives = "checkpoints of levelled trees", .missing = {}, .detail = {}};
    const std::string path = find_in_path("criu");
    if (path.empty()) {
        result.missing = "criu is not installed; only checkpoints need it";
        return result;
    }
    const Ran version = run_tool(path, "--version", std::chrono::seconds{5});
    const auto lines = split(trim(version.output), '\n');
    result.detail = printable(path) + ", " + printable(trim(lines.front()), 60);
    if (!run_check) {
        result.works = Works::partial;
        result.missing = "`criu check` was not run";
        return result;
    }
    const Ran check = run_tool(path, "check", std::chrono::seconds{15});
    const bool ended_well = check.end.status && WIFEXITED(*check.end.status) && WEXITSTATUS(*check.end.status) == 0;
    // Without a status (SIGCHLD ignored) criu's own words have to do.
    const bool good = check.end.status ? ended_well : check.output.find("Looks good") != std::string::npos;
    result.works = good ? Works::yes : Works::no;
    result.detail += "; `criu check`: " + (check.output.empty() ? check.end.describe() : last_line(check.output));
    if (!good) result.missing = ::geteuid() != 0 ? "`criu check` wants root" : "see the output of `criu check`";
    return result;
}

}  // namespace cpulevel::engine::probe
