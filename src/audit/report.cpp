#include <algorithm>
#include <nlohmann/json.hpp>

#include "audit/audit.h"

namespace cpulevel::audit {

std::string_view name(Kind kind) {
    switch (kind) {
        case Kind::architecture: return "architecture";
        case Kind::handler_frame: return "handler_frame";
        case Kind::vector_state: return "vector_state";
        case Kind::protection_keys: return "protection_keys";
        case Kind::shadow_stack: return "shadow_stack";
        case Kind::started_beyond: return "started_beyond";
        case Kind::resolver_area: return "resolver_area";
        case Kind::signal_stack: return "signal_stack";
        case Kind::hwcaps_library: return "hwcaps_library";
        case Kind::tile_permission: return "tile_permission";
        case Kind::vector_length: return "vector_length";
        case Kind::pointer_keys: return "pointer_keys";
        case Kind::unreadable: return "unreadable";
    }
    return "unreadable";
}

std::string_view name(Severity severity) {
    switch (severity) {
        case Severity::note: return "note";
        case Severity::unknown: return "unknown";
        case Severity::unsafe: return "unsafe";
    }
    return "unknown";
}

std::string_view name(Certainty certainty) { return certainty == Certainty::certain ? "certain" : "likely"; }

bool Report::safe() const {
    return std::ranges::all_of(findings, [](const Finding& f) { return f.severity == Severity::note; });
}

bool Report::waiting_helps() const {
    return !safe() && std::ranges::all_of(findings, [](const Finding& f) { return f.severity == Severity::note || f.passes; });
}

nlohmann::json to_json(const Report& report) {
    nlohmann::json processes = nlohmann::json::array();
    for (const Examined& process : report.processes) {
        processes.push_back({{"pid", process.pid},
                             {"name", process.process},
                             {"threads", process.threads},
                             {"shown", process.shown},
                             {"signal_frames", process.handlers}});
    }
    nlohmann::json findings = nlohmann::json::array();
    for (const Finding& finding : report.findings) {
        nlohmann::json one{{"kind", name(finding.kind)},
                           {"severity", name(finding.severity)},
                           {"certainty", name(finding.certainty)},
                           {"pid", finding.pid},
                           {"process", finding.process},
                           {"what", finding.what},
                           {"why", finding.why},
                           {"advice", finding.advice},
                           {"passes", finding.passes}};
        if (finding.thread != 0) one["thread"] = finding.thread;
        findings.push_back(std::move(one));
    }
    return {{"schema", "cpulevel/audit/1"},
            {"subject", report.subject},
            {"target", report.target},
            {"safe", report.safe()},
            {"waiting_helps", report.waiting_helps()},
            {"processes", std::move(processes)},
            {"findings", std::move(findings)}};
}

}  // namespace cpulevel::audit
