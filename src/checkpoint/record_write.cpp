#include <nlohmann/json.hpp>

#include "checkpoint/record.h"
#include "level/level_json.h"
#include "profile/profile_json.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

using nlohmann::json;

// Words of other programs and files: as the reader takes them, without control characters.
std::string plain(const std::string& text) { return printable(text, kLongestText); }

json tree_of(const LevelledTree& tree) {
    json coverage = json::array();
    for (const engine::Channel& channel : tree.coverage) {
        coverage.push_back(
            {{"channel", channel.name}, {"state", engine::name(channel.state)}, {"why", plain(channel.why)}});
    }
    return {{"level", json::parse(level::to_json(tree.level))},
            {"root", tree.root},
            {"supervisor", tree.supervisor},
            {"front", tree.front},
            {"portable", tree.portable},
            {"stopped_before", tree.stopped_before},
            {"processes", tree.processes},
            {"threads", tree.threads},
            {"cpuid_in_memory", tree.cpuid_in_memory},
            {"cpuid_traps", tree.cpuid_traps},
            {"command", plain(tree.command)},
            {"cpuid_method", tree.cpuid_method},
            {"coverage", std::move(coverage)}};
}

json audit_of(const Audit& audit) {
    json findings = json::array();
    for (const audit::Finding& finding : audit.findings) {
        findings.push_back({{"kind", audit::name(finding.kind)},
                            {"severity", audit::name(finding.severity)},
                            {"certainty", audit::name(finding.certainty)},
                            {"pid", finding.pid},
                            {"thread", finding.thread},
                            {"process", printable(finding.process, 64)},
                            {"what", plain(finding.what)},
                            {"why", plain(finding.why)},
                            {"advice", plain(finding.advice)}});
    }
    return {{"target", printable(audit.target, 256)}, {"safe", audit.safe}, {"findings", std::move(findings)}};
}

}  // namespace

std::string to_json(const Record& record) {
    json trees = json::array();
    for (const LevelledTree& tree : record.trees) trees.push_back(tree_of(tree));
    json root = {{"schema", kSchema},
                 {"cpulevel", record.version},
                 {"created", record.created},
                 {"node", json::parse(profile::to_json(record.node))},
                 {"trees", std::move(trees)},
                 {"criu",
                  {{"shell_job", record.criu.shell_job},
                   {"tcp_established", record.criu.tcp_established},
                   {"file_locks", record.criu.file_locks},
                   {"external_unix", record.criu.external_unix}}}};
    if (record.audit) root["audit"] = audit_of(*record.audit);
    // Names of programs and files may be any bytes; JSON is UTF-8.
    return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<void> write_record(const std::string& folder, const Record& record) {
    return write_file_atomically(folder + "/" + kFileName, to_json(record));
}

Audit summary(const audit::Report& report) {
    Audit audit{report.target, report.safe(), report.findings};
    if (audit.findings.size() > kMostFindings) audit.findings.resize(kMostFindings);
    return audit;
}

}  // namespace cpulevel::checkpoint
