#include "audit/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "level/feature_text.h"
#include "level/named.h"
#include "util/text.h"

namespace cpulevel::audit {
namespace {

// "x86-64-v2 and 3 more features (glibc's record, the HWCAP words)"
std::string shown_text(const Evidence& evidence) {
    const Shown& shown = evidence.shown;
    if (shown.sources.empty()) return "not known";
    const arch::FeatureTable& table = arch::table(evidence.process->architecture);
    arch::FeatureSet of_use;  // by programs: whether a kernel's feature is shown says nothing about a process
    for (std::size_t index = 0; index < table.features().size(); ++index) {
        const arch::FeatureId id{static_cast<std::uint16_t>(index)};
        if (table[id].user) of_use.insert(id);
    }
    const arch::NamedLevel* best = nullptr;
    arch::FeatureSet best_set;
    if (evidence.process->architecture != arch::Architecture::x86_64 || shown.cpuid_known) {
        for (const arch::NamedLevel& named : table.levels()) {
            if (!named.name.starts_with("x86-64") && !named.name.starts_with("armv")) continue;
            const arch::FeatureSet set = level::features_of(table, named);
            const arch::FeatureSet judged = set & shown.described & of_use;
            if (judged.empty() || !judged.is_subset_of(shown.features) || (best != nullptr && set.size() < best_set.size())) continue;
            best = &named;
            best_set = set;
        }
    }
    const std::size_t more = ((shown.features - best_set) & of_use).size();
    if (best == nullptr) return fmt::format("{} feature{} ({})", more, more == 1 ? "" : "s", join(shown.sources, ", "));
    if (more == 0) return fmt::format("{} ({})", best->name, join(shown.sources, ", "));
    return fmt::format("{} and {} more feature{} ({})", best->name, more, more == 1 ? "" : "s", join(shown.sources, ", "));
}

}  // namespace

Finding finding_of(const Snapshot& process, pid_t thread, Kind kind, Severity severity) {
    Finding finding;
    finding.kind = kind;
    finding.severity = severity;
    finding.pid = process.pid;
    finding.thread = thread;
    finding.process = process.name;
    return finding;
}

Evidence examine(const Snapshot& process) {
    Evidence evidence;
    evidence.process = &process;
    evidence.shown = what_was_shown(process);
    for (const Thread& thread : process.threads) evidence.frames.push_back(find_signal_frames(process, thread));
    return evidence;
}

void judge(const Evidence& evidence, const Target& target, Report& report) {
    const Snapshot& process = *evidence.process;
    std::string shown = process.portable ? "not of interest: cpulevel itself, which uses no more than the first x86-64 has" : shown_text(evidence);
    Examined examined{process.pid, process.name, process.threads.size(), std::move(shown), 0};
    for (const FrameSearch& search : evidence.frames) examined.handlers += search.frames.size();
    report.processes.push_back(std::move(examined));
    if (process.architecture != target.architecture) {
        Finding finding = finding_of(process, 0, Kind::architecture, Severity::unsafe);
        finding.what = fmt::format("is a program of {}", arch::name(process.architecture));
        finding.why = fmt::format("{} is {}", target.name, arch::name(target.architecture));
        finding.advice = "a process moves only between machines of one architecture";
        report.findings.push_back(std::move(finding));
        return;
    }
    const std::size_t first = report.findings.size();
    judge_threads(evidence, target, report);
    judge_start(evidence, target, report);
    std::stable_sort(report.findings.begin() + static_cast<std::ptrdiff_t>(first), report.findings.end(),
                     [](const Finding& a, const Finding& b) { return std::pair(a.thread, a.kind) < std::pair(b.thread, b.kind); });
}

}  // namespace cpulevel::audit
