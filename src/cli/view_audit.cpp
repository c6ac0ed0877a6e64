#include "cli/view_audit.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <variant>

#include "cli/files.h"
#include "cli/level_argument.h"
#include "cli/table.h"

namespace cpulevel::cli {

namespace {

std::string verdict_text(const audit::Report& report, const View& view) {
    if (report.safe()) return view.style.good("safe");
    for (const audit::Finding& finding : report.findings) {
        if (finding.severity == audit::Severity::unsafe) return view.style.bad("not safe");
    }
    return view.style.caution("not known");
}

std::string severity_text(const audit::Finding& finding, const Style& style) {
    switch (finding.severity) {
        case audit::Severity::note: return "note:";
        case audit::Severity::unknown: return style.caution("not known:");
        case audit::Severity::unsafe: return style.bad("unsafe:");
    }
    return "not known:";
}

std::string finding_text(const audit::Finding& finding, const View& view) {
    std::string who = fmt::format("{} {}", safe(finding.process), finding.pid);
    if (finding.thread != 0 && finding.thread != finding.pid) who += fmt::format(", thread {}", finding.thread);
    std::string text = "  " + severity_text(finding, view.style) + " " + wrap(who + " " + safe(finding.what), view.width, 4) + "\n";
    if (!finding.why.empty()) text += "    " + wrap(safe(finding.why), view.width, 4) + "\n";
    if (!finding.advice.empty()) text += "    " + wrap("-> " + safe(finding.advice), view.width, 7) + "\n";
    return text;
}

}  // namespace

std::string audit_text(const audit::Report& report, const View& view) {
    std::string text = wrap(fmt::format("{}, to {}: ", safe(report.subject), safe(report.target)), view.width, 0) + " " +
                       verdict_text(report, view) + "\n\n";
    Table table({"pid", "name", "threads", "was shown"});
    table.align(0, Align::right).align(2, Align::right);
    for (const audit::Examined& process : report.processes) {
        table.add_row({std::to_string(process.pid), safe(process.process), std::to_string(process.threads), safe(process.shown)});
    }
    text += table.text(view.style, view.width);
    if (!report.findings.empty()) text += "\n";
    for (const audit::Finding& finding : report.findings) text += finding_text(finding, view);
    if (report.waiting_helps()) text += "\n" + wrap("All that is against it passes by itself: wait (--wait SECONDS).", view.width, 0) + "\n";
    return text;
}

Result<audit::Target> audit_target(const std::string& word) {
    struct stat status{};
    const bool is_file = ::stat(word.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
    if (is_file && word != "-") {
        const auto document = read_document(word);
        if (document && std::holds_alternative<profile::NodeProfile>(*document)) {
            return audit::target_of(std::get<profile::NodeProfile>(*document));
        }
    }
    const auto level = level_argument(word);
    if (!level) return std::unexpected(level.error());
    return audit::target_of(*level);
}

}  // namespace cpulevel::cli
