#include "engine/bpf/attachments.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "engine/bpf/engine_maps.h"
#include "engine/bpf/process_tree.h"
#include "engine/bpf/scope.h"

namespace cpulevel::engine::bpf {

namespace {

std::uint64_t now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(since).count());
}

Result<std::vector<std::string>> warnings_for(const AttachOptions& options) {
    std::vector<std::string> warnings;
    if (options.level == nullptr) return warnings;
    if (options.level->architecture != kOwnArchitecture) {
        return usage_error("this level is for another architecture", std::string(arch::name(options.level->architecture)),
                           "programs here are " + std::string(arch::name(kOwnArchitecture)));
    }
    // Rule 10: an administrator may hide what protects privileged programs, and is told so.
    const auto security = security_words(kOwnArchitecture);
    const auto shown = [&](std::size_t word) { return options.level->hwcap[word].value_or(~std::uint64_t{0}); };
    for (std::size_t word = 0; word < security.size(); ++word) {
        if ((security[word] & ~shown(word)) == 0) continue;
        warnings.emplace_back("this level hides features that protect programs (such as pointer authentication), also from set-user-ID programs");
        break;
    }
    return warnings;
}

// The maps of the installed kernel side, after installing it if need be.
Result<Maps> installed() {
    if (!is_installed()) {
        if (auto done = install(); !done) return std::unexpected(done.error());
    }
    return open_maps();
}

std::unexpected<Error> not_stored(const std::string& target) {
    return system_error(ErrorKind::machine, "cannot attach the level", target, "a machine can have 65,536 attachments of each kind");
}

std::size_t depth_of(const Maps& maps, std::uint64_t tree) {
    std::size_t depth = 0;
    for (cpulevel_scope scope{}; tree != 0 && maps.trees.get(tree, scope); tree = scope.parent) ++depth;
    return depth;
}

// Moves a process from the tree `around` into tree `number`, which is inside of that. A process that is in a tree inside
// of `around` stays there, and that tree is moved.
bool put_inside(const Maps& maps, __u32 process, __u64 around, __u64 number) {
    __u64 current = 0;
    (void)maps.members.get(process, current);
    if (current == around) return maps.members.set(process, number);
    for (cpulevel_scope inner{}; current != number && maps.trees.get(current, inner); current = inner.parent) {
        if (inner.parent != around) continue;
        inner.parent = number;
        return maps.trees.set(current, inner);
    }
    return true;
}

}  // namespace

Result<Attached> attach_cgroup(const std::string& folder, const AttachOptions& options) {
    auto warnings = warnings_for(options);
    if (!warnings) return std::unexpected(warnings.error());
    const auto id = cgroup_id(folder);
    if (!id) return std::unexpected(id.error());
    const auto locked = begin_change();
    if (!locked) return std::unexpected(locked.error());
    const auto maps = installed();
    if (!maps) return std::unexpected(maps.error());
    const auto scope = make_scope({.level = options.level, .strict = options.strict, .target = folder, .attached_at = now()});
    if (!maps->scopes.set(*id, scope)) return not_stored(folder);
    return Attached{.running = processes_in_cgroup(folder), .warnings = std::move(*warnings)};
}

Result<Attached> attach_tree(pid_t pid, const AttachOptions& options) {
    auto warnings = warnings_for(options);
    if (!warnings) return std::unexpected(warnings.error());
    if (!in_first_pid_namespace()) {
        return machine_error("a process tree can be attached from the machine's first PID namespace only", std::to_string(pid), {},
                             "run this on the host, or attach to the container's cgroup");
    }
    const auto process = thread_group(pid);
    if (!process) return std::unexpected(process.error());
    const auto locked = begin_change();
    if (!locked) return std::unexpected(locked.error());
    const auto maps = installed();
    if (!maps) return std::unexpected(maps.error());

    auto scope = make_scope({.level = options.level, .strict = options.strict, .target = fmt::format("process {}", *process), .attached_at = now()});
    scope.root_pid = static_cast<__u64>(*process);
    __u64 around = 0;
    (void)maps->members.get(static_cast<__u32>(*process), around);  // 0 where it is in no tree
    cpulevel_scope there{};
    if (maps->trees.get(around, there) && there.root_pid == scope.root_pid) {
        scope.parent = there.parent;  // attached again: the new level replaces the old one
        if (!maps->trees.set(around, scope)) return not_stored(scope.target);
        return Attached{.running = descendants(*process).size(), .warnings = std::move(*warnings)};
    }
    if (depth_of(*maps, around) >= CPULEVEL_TREE_DEPTH) {
        return usage_error("trees are nested too deep", std::to_string(pid), fmt::format("there are {} around it", CPULEVEL_TREE_DEPTH));
    }
    scope.parent = around;
    __u64 number = 1;
    for (const auto& [taken, each] : maps->trees.entries()) number = std::max(number, taken + 1);
    if (!maps->trees.set(number, scope)) return not_stored(scope.target);
    // The kernel side adds the children of members from now on; those from before are found by looking until none is new.
    std::set<pid_t> inside;
    for (bool more = true; more;) {
        more = false;
        for (const pid_t member : descendants(*process)) {
            if (!inside.insert(member).second) continue;
            more = true;
            if (!put_inside(*maps, static_cast<__u32>(member), around, number)) return not_stored(scope.target);
        }
    }
    return Attached{.running = inside.size(), .warnings = std::move(*warnings)};
}

}  // namespace cpulevel::engine::bpf
