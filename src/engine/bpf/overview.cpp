// Detaching, and what is attached now.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "engine/bpf/attachments.h"
#include "engine/bpf/engine_maps.h"
#include "engine/bpf/process_tree.h"

namespace cpulevel::engine::bpf {

namespace {

std::string text_of(std::uint32_t reason, std::int64_t error) {
    const std::string because = error == 0 ? "" : fmt::format(" ({})", std::strerror(static_cast<int>(-error)));
    switch (reason) {
        case CPULEVEL_NOT_ELF: return "not an ELF program: its vector is not known";
        case CPULEVEL_STACK_UNREADABLE: return "its stack could not be read" + because;
        case CPULEVEL_NOT_THE_VECTOR: return "the auxiliary vector is not where it should be on its stack";
        case CPULEVEL_WRITE_REFUSED: return "its stack could not be written" + because;
        case CPULEVEL_NO_MEMORY: return "what it hands on could not be kept" + because;
        case CPULEVEL_TOO_DEEP: return "cgroups or trees are nested too deep";
        default: return fmt::format("reason {}", reason);
    }
}

template <std::size_t N>
std::string text_in(const char (&field)[N]) {
    return std::string(field, ::strnlen(field, N));
}

Result<void> remove_if_unused(const Maps& maps) {
    if (!maps.scopes.entries().empty() || !maps.trees.entries().empty()) return {};
    return remove_pins(kPinned);
}

// Its members and the trees inside of it go to the tree around it.
void take_out(const Maps& maps, __u64 number) {
    cpulevel_scope scope{};
    if (!maps.trees.get(number, scope)) return;
    for (auto [inner, each] : maps.trees.entries()) {
        if (each.parent != number) continue;
        each.parent = scope.parent;
        (void)maps.trees.set(inner, each);
    }
    (void)maps.trees.erase(number);
    // A child that is born meanwhile is in a tree that is not there, and so in none; twice finds most of them.
    for (int round = 0; round < 2; ++round) {
        for (const auto& [process, tree] : maps.members.entries()) {
            if (tree != number) continue;
            (void)(scope.parent == 0 ? maps.members.erase(process) : maps.members.set(process, scope.parent));
        }
    }
}

std::uint64_t counter(const Maps& maps, cpulevel_counter which) {
    __u64 value = 0;
    (void)maps.counters.get(which, value);
    return value;
}

Attachment attachment_of(Attachment::Kind kind, std::uint64_t id, const cpulevel_scope& scope) {
    return {.kind = kind,
            .id = id,
            .root_pid = static_cast<pid_t>(scope.root_pid),
            .level = text_in(scope.level),
            .target = text_in(scope.target),
            .strict = (scope.flags & CPULEVEL_STRICT) != 0,
            .gone = false,
            .attached_at = scope.attached_at,
            .execs = scope.execs,
            .failures = scope.failures,
            .members = 0};
}

std::vector<Attachment> attachments(const Maps& maps) {
    std::vector<Attachment> found;
    for (const auto& [id, scope] : maps.scopes.entries()) {
        found.push_back(attachment_of(Attachment::Kind::cgroup, id, scope));
        const auto now = cgroup_id(found.back().target);
        found.back().gone = !now || *now != id;
    }
    std::map<__u64, std::size_t> members;
    for (const auto& [process, tree] : maps.members.entries()) ++members[tree];
    for (const auto& [number, scope] : maps.trees.entries()) {
        found.push_back(attachment_of(Attachment::Kind::tree, number, scope));
        found.back().members = members[number];
    }
    std::ranges::sort(found, [](const Attachment& a, const Attachment& b) {
        return std::tie(a.kind, a.target, a.id) < std::tie(b.kind, b.target, b.id);
    });
    return found;
}

std::vector<Failure> last_failures(const Maps& maps) {
    std::vector<std::pair<__u64, Failure>> found;
    for (const auto& [place, failure] : maps.failures.entries()) {
        if (failure.number == 0) continue;
        found.emplace_back(failure.number, Failure{.pid = failure.pid,
                                                   .program = text_in(failure.comm),
                                                   .why = text_of(failure.reason, failure.error),
                                                   .boot_nanoseconds = failure.at});
    }
    std::ranges::sort(found, std::ranges::greater{}, &std::pair<__u64, Failure>::first);
    std::vector<Failure> failures;
    for (auto& [number, failure] : found) failures.push_back(std::move(failure));
    return failures;
}

}  // namespace

Result<void> detach_cgroup_id(std::uint64_t id) {
    const auto maps = maps_in_use();
    if (!maps) return std::unexpected(maps.error());
    const auto locked = lock();
    if (!locked) return std::unexpected(locked.error());
    if (!maps->scopes.erase(id)) return usage_error("nothing is attached to the cgroup", std::to_string(id));
    return remove_if_unused(*maps);
}

Result<void> detach_cgroup(const std::string& folder) {
    if (const auto id = cgroup_id(folder)) return detach_cgroup_id(*id);
    // A folder that is gone is found by the name that it was attached by.
    const auto maps = maps_in_use();
    if (!maps) return std::unexpected(maps.error());
    for (const auto& [id, scope] : maps->scopes.entries()) {
        if (text_in(scope.target) == folder) return detach_cgroup_id(id);
    }
    return usage_error("nothing is attached to the cgroup", folder, {}, "cpulevel status lists what is attached");
}

Result<void> detach_tree(pid_t pid) {
    const auto maps = maps_in_use();
    if (!maps) return std::unexpected(maps.error());
    const auto locked = lock();
    if (!locked) return std::unexpected(locked.error());
    __u64 number = 0;
    for (const auto& [each, scope] : maps->trees.entries()) {
        if (static_cast<pid_t>(scope.root_pid) == pid) number = std::max(number, each);
    }
    if (number == 0 && !maps->members.get(static_cast<__u32>(pid), number)) {
        return usage_error("the process is in no attached tree", std::to_string(pid), {}, "cpulevel status lists what is attached");
    }
    take_out(*maps, number);
    return remove_if_unused(*maps);
}

Result<std::size_t> detach_all() {
    if (!is_installed()) {
        const auto none = maps_in_use();
        return std::unexpected(none ? Error{} : none.error());
    }
    const auto locked = lock();
    if (!locked) return std::unexpected(locked.error());
    const auto maps = open_maps();  // of this version; another one's are removed without being counted
    const std::size_t count = maps ? maps->scopes.entries().size() + maps->trees.entries().size() : 0;
    if (auto removed = remove_pins(kPinned); !removed) return std::unexpected(removed.error());
    return count;
}

Result<std::optional<Overview>> overview() {
    if (!is_installed()) return std::optional<Overview>();
    const auto maps = open_maps();
    if (!maps) return std::unexpected(maps.error());
    return Overview{.attachments = attachments(*maps),
                    .execs = counter(*maps, CPULEVEL_COUNT_EXECS),
                    .changed = counter(*maps, CPULEVEL_COUNT_CHANGED),
                    .failures = counter(*maps, CPULEVEL_COUNT_FAILURES),
                    .killed = counter(*maps, CPULEVEL_COUNT_KILLED),
                    .marks = counter(*maps, CPULEVEL_COUNT_MARKS),
                    .lost = counter(*maps, CPULEVEL_COUNT_LOST),
                    .reads = counter(*maps, CPULEVEL_COUNT_READS),
                    .read_failures = counter(*maps, CPULEVEL_COUNT_READ_FAILURES),
                    .last_failures = last_failures(*maps),
                    .costs = costs(),
                    .coverage = coverage()};
}

}  // namespace cpulevel::engine::bpf
