#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "audit/audit.h"
#include "audit/judge.h"
#include "audit/live/snapshot_of.h"
#include "engine/bpf/process_tree.h"

namespace cpulevel::audit {
Result<Report> audit_process(pid_t pid, const Target& target, const ProcessOptions& options) {
    const auto group = engine::bpf::thread_group(pid);
    if (!group) return std::unexpected(group.error());
    pid = *group;
    const std::vector<pid_t> processes = options.tree ? engine::bpf::descendants(pid) : std::vector<pid_t>{pid};
    const auto layout = live::layout_here();
    Report report;
    report.target = target.name;
    for (const pid_t one : processes) {
        if (one == ::getpid()) continue;  // asked for its own ancestor: this program is not part of the move
        const bool portable = live::is_portable(one);
        const live::StoppedProcess stopped(one);
        if (stopped.threads().empty() && one != pid) continue;  // ended meanwhile
        auto snapshot = live::snapshot_of(stopped.threads(), one, layout ? &*layout : nullptr);
        if (!snapshot) {
            if (one == pid) return std::unexpected(snapshot.error());
            if (snapshot.error().kind == ErrorKind::usage) continue;
            Finding finding;
            finding.severity = Severity::unknown;
            finding.pid = one;
            finding.process = live::process_name(one);
            finding.what = "could not be looked at";
            finding.why = snapshot.error().message();
            finding.advice = snapshot.error().hint;
            report.findings.push_back(std::move(finding));
            continue;
        }
        if (snapshot->mappings.empty()) continue;  // a zombie, or a kernel thread
        snapshot->portable = portable;
        judge(examine(*snapshot), target, report);
    }
    const std::size_t below = report.processes.empty() ? 0 : report.processes.size() - 1;
    report.subject = fmt::format("process {}", pid);
    if (below != 0) report.subject += fmt::format(" and {} below it", below);
    if (report.processes.empty() && report.findings.empty()) return usage_error("no program runs in this process", std::to_string(pid));
    return report;
}

}  // namespace cpulevel::audit
