#include "checkpoint/held_tree.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "checkpoint/own_numbers.h"
#include "checkpoint/take_under.h"
#include "engine/portable.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/process_list.h"
#include "engine/ptrace/release.h"
#include "level/level_json.h"
#include "profile/probe.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

namespace ptrace = engine::ptrace;

std::vector<pid_t> family_below(pid_t root) {
    const std::vector<pid_t> roots{root};
    return engine::family_of(roots, ptrace::all_processes());
}

std::string now_in_utc() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", parts);
}

std::uint64_t start_of(pid_t process) {
    const auto stat = ptrace::read_proc_stat(process);
    return stat ? stat->start_time : 0;
}

// What is known only while the supervisor is there: it may end when it has let go.
Result<Held::Tree> describe(const engine::TreeView& view) {
    Held::Tree tree;
    tree.supervisor = view.supervisor;
    tree.front = view.front;
    tree.root = engine::root_of(view);
    if (tree.root == 0)
        return machine_error("the first process of the tree has ended", fmt::format("supervisor {}", view.supervisor));
    tree.since = start_of(tree.root);
    const auto text = engine::read_level_text(view.supervisor);
    if (!text) return std::unexpected(text.error());
    auto level = level::from_json(*text, fmt::format("the level of supervisor {}", view.supervisor));
    if (!level) return std::unexpected(level.error());
    tree.level = std::move(*level);
    return tree;
}

LevelledTree entry_of(const Held::Tree& tree, const engine::TreeView& view, const ptrace::ReleaseReport& report,
                      bool inside) {
    LevelledTree entry;
    entry.level = tree.level;
    entry.root = own_number(tree.root);
    if (inside) {
        entry.supervisor = own_number(view.supervisor);
        entry.front = view.front;  // the supervisor's numbers, which are its own
        entry.portable = engine::runs_portably(view.supervisor);
    }
    for (const pid_t process : tree.stopped_before) entry.stopped_before.push_back(own_number(process));
    entry.processes = report.done.processes.size();
    entry.threads = report.done.threads;
    // Who has let go of all has nobody to count any more.
    for (const engine::TreeMember& member : report.already ? engine::tree_members(view) : std::vector<engine::TreeMember>{}) {
        ++entry.processes;
        entry.threads += ptrace::threads_of(member.pid).size();
    }
    entry.cpuid_in_memory = report.done.jumps;
    entry.cpuid_traps = report.done.cpuid_traps;
    entry.command = view.command;
    entry.cpuid_method = view.cpuid_method;
    entry.coverage = view.coverage;
    return entry;
}

}  // namespace

bool is_alive(const Held::Tree& tree) {
    const auto stat = ptrace::read_proc_stat(tree.root);
    return stat && stat->start_time == tree.since && stat->state != 'Z' && stat->state != 'X';
}

Result<std::vector<engine::TreeView>> trees_below(pid_t root) {
    const auto family = family_below(root);
    const auto is_below = [&](pid_t process) { return std::ranges::find(family, process) != family.end(); };
    std::vector<engine::TreeView> trees;
    for (engine::TreeView& view : engine::list_trees().trees) {
        const auto members = engine::tree_members(view);
        const bool inside = is_below(view.supervisor);
        const auto outside = std::ranges::find_if_not(members, is_below, &engine::TreeMember::pid);
        if (!inside && std::ranges::none_of(members, is_below, &engine::TreeMember::pid)) continue;
        if (outside != members.end()) {
            const pid_t first = engine::root_of(view);
            return std::unexpected(Error{ErrorKind::refused, "a part of a levelled tree would stay behind",
                                         std::to_string(root), 0,
                                         fmt::format("process {} ({}) of the same tree is not below it", outside->pid,
                                                     printable(outside->name, 32)),
                                         first == 0 ? std::string("wait until it has ended")
                                                    : fmt::format("the tree's first process is {}", first)});
        }
        if (!members.empty()) trees.push_back(std::move(view));
    }
    return trees;
}

Result<pid_t> root_to_dump(pid_t pid) {
    const auto tree = engine::find_tree(pid);
    if (!tree) return std::unexpected(tree.error());
    if (*tree) {
        const pid_t root = engine::root_of(**tree);
        if (root != 0) return root;
        return machine_error("the first process of this tree has ended, and CRIU dumps a process with what is below it",
                             std::to_string(pid), "",
                             "wait until the rest has ended, or release the tree and dump its processes one by one");
    }
    const auto below = trees_below(pid);
    if (!below) return std::unexpected(below.error());
    if (!below->empty()) return pid;
    return std::unexpected(Error{ErrorKind::refused, "this process is in no levelled tree that this user can see",
                                 std::to_string(pid), 0, "",
                                 "`cpulevel status` lists the trees; `cpulevel adopt` puts one under a level; what has "
                                 "no level is for criu alone"});
}

Result<Held> hold(pid_t root, std::chrono::seconds patience, const std::string& version) {
    Held held;
    held.root = root;
    const auto views = trees_below(root);
    if (!views) return std::unexpected(views.error());
    if (views->empty()) return held;
    auto node = profile::probe_this_machine();
    if (!node) return std::unexpected(node.error());
    held.record.node = std::move(*node);
    held.record.version = version;
    held.record.created = now_in_utc();
    const auto family = family_below(root);
    for (const engine::TreeView& view : *views) {
        const auto fail = [&](Error error) -> std::unexpected<Error> {
            if (const auto back = take_back(held, patience); !back)
                error.why += (error.why.empty() ? "" : "; ") + back.error().message();
            return std::unexpected(std::move(error));
        };
        auto tree = describe(view);
        if (!tree) return fail(tree.error());
        const auto report = ptrace::release(view.supervisor, {.leave_stopped = true, .patience = patience});
        if (!report) return fail(report.error());
        tree->by_others = report->already;
        tree->supervisor_waits = report->supervisor_waits;
        for (const pid_t process : report->done.stopped_before) {
            if (const pid_t here = engine::in_namespace_of(view.supervisor, process); here != 0)
                tree->stopped_before.push_back(here);
        }
        const bool inside = std::ranges::find(family, view.supervisor) != family.end();
        held.record.trees.push_back(entry_of(*tree, view, *report, inside));
        held.trees.push_back(std::move(*tree));
    }
    return held;
}

Result<std::vector<ptrace::AdoptReport>> take_back(const Held& held, std::chrono::seconds patience) {
    std::vector<ptrace::AdoptReport> reports;
    std::optional<Error> first;
    for (const Held::Tree& tree : held.trees) {
        if (tree.by_others || !is_alive(tree)) continue;
        ptrace::TakeUpOptions options;
        options.root = tree.root;
        options.keep_stopped = tree.stopped_before;
        if (const auto stat = ptrace::read_proc_stat(tree.root); stat && stat->parent == tree.front)
            options.front = tree.front;
        options.patience = patience;
        auto report =
            tree.supervisor_waits ? ask_waiting(tree.supervisor, false, patience) : adopt_at(tree.level, options);
        if (report) {
            reports.push_back(std::move(*report));
        } else if (!first && is_alive(tree)) {
            first = report.error();
        }
    }
    if (first) return std::unexpected(std::move(*first));
    return reports;
}

}  // namespace cpulevel::checkpoint
