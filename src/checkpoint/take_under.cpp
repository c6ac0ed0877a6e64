#include "checkpoint/take_under.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "checkpoint/own_numbers.h"
#include "engine/ptrace/process_list.h"
#include "engine/ptrace/run.h"
#include "engine/registry.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

namespace ptrace = engine::ptrace;

// Every thread of every process of the tree is traced by its supervisor: what was reported is compared with what the
// kernel says.
Result<void> verify(const ptrace::AdoptReport& report, pid_t root) {
    const std::array roots{root};
    for (const pid_t process : engine::family_of(roots, ptrace::all_processes())) {
        for (const pid_t thread : ptrace::threads_of(process)) {
            const auto tracer = engine::tracer_of(thread);
            if (!tracer || *tracer == report.supervisor) continue;
            const auto view = engine::find_tree(thread);
            if (*tracer != 0 && view && *view) continue;  // of another tree within this one
            return machine_error("not every thread came under the level",
                                 fmt::format("thread {} of process {}", thread, process),
                                 *tracer == 0 ? "nobody supervises it" : fmt::format("process {} traces it", *tracer));
        }
    }
    return {};
}

Result<ptrace::AdoptReport> take_tree(const LevelledTree& tree, const std::map<pid_t, pid_t>& numbers,
                                      bool leave_stopped, std::chrono::seconds patience, pid_t front) {
    const auto here = [&](pid_t own) {
        const auto found = numbers.find(own);
        return found == numbers.end() ? 0 : found->second;
    };
    const pid_t root = here(tree.root);
    if (root == 0)
        return machine_error("a levelled tree is not there after the restore",
                             fmt::format("its first process, {}", tree.root));
    if (tree.supervisor != 0) {
        const pid_t supervisor = here(tree.supervisor);
        if (supervisor == 0)
            return machine_error("a supervisor is not there after the restore",
                                 fmt::format("process {}", tree.supervisor));
        // CRIU may have left everything stopped (--leave-stopped); these two are ours and run nothing of the program.
        ::kill(supervisor, SIGCONT);
        if (const pid_t inside = here(tree.front); inside != 0 && !leave_stopped) ::kill(inside, SIGCONT);
        return ask_waiting(supervisor, leave_stopped, patience);
    }
    const auto known = engine::find_tree(root);
    if (known && *known) {  // somebody was faster: another action script, the user
        ptrace::AdoptReport report;
        report.supervisor = (*known)->supervisor;
        report.level = (*known)->level;
        report.coverage = (*known)->coverage;
        report.already = true;
        if (report.level == tree.level.name) return report;
        return std::unexpected(
            Error{ErrorKind::refused, "the restored tree is under another level", fmt::format("process {}", root), 0,
                  fmt::format("supervisor {} has it at {}", report.supervisor, printable(report.level, 80)), ""});
    }
    ptrace::TakeUpOptions options;
    options.root = root;
    options.continue_stopped = !leave_stopped;
    options.front = front;
    options.patience = patience;
    for (const pid_t own : tree.stopped_before) {
        if (const pid_t process = here(own); process != 0) options.keep_stopped.push_back(process);
    }
    return adopt_at(tree.level, options);
}

}  // namespace

Result<ptrace::AdoptReport> ask_waiting(pid_t supervisor, bool leave_stopped, std::chrono::seconds patience) {
    const auto tree = engine::find_tree(supervisor);
    if (!tree) return std::unexpected(tree.error());
    if (*tree) return ptrace::ask_to_adopt(**tree, leave_stopped, patience);
    return machine_error("the supervisor has no record of its tree", fmt::format("process {}", supervisor));
}

Result<ptrace::AdoptReport> adopt_at(const level::Level& level, const ptrace::TakeUpOptions& options) {
    ptrace::Preparation wanted;
    wanted.level = level;
    const auto prepared = ptrace::prepare_again(wanted);
    if (!prepared) return std::unexpected(prepared.error());
    return ptrace::adopt(*prepared, {}, options);
}

Result<std::vector<ptrace::AdoptReport>> take_under(const Record& record, pid_t root, bool leave_stopped,
                                                    std::chrono::seconds patience, pid_t front) {
    const auto numbers = by_own_number(root);
    std::vector<ptrace::AdoptReport> reports;
    for (const LevelledTree& tree : record.trees) {
        const auto first = numbers.find(tree.root);
        const bool has_front = first != numbers.end() && first->second == root;
        auto report = take_tree(tree, numbers, leave_stopped, patience, has_front ? front : 0);
        if (!report) return std::unexpected(report.error());
        if (auto good = verify(*report, numbers.at(tree.root)); !good) return std::unexpected(good.error());
        reports.push_back(std::move(*report));
    }
    return reports;
}

}  // namespace cpulevel::checkpoint
