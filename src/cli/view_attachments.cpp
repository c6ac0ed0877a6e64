#include "cli/view_attachments.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/table.h"

namespace cpulevel::cli {

namespace {

using engine::bpf::Attachment;

std::string target_of(const Attachment& attachment) {
    if (attachment.kind == Attachment::Kind::tree) {
        return fmt::format("tree of process {}, {} process{} now", attachment.root_pid, attachment.members, attachment.members == 1 ? "" : "es");
    }
    return "cgroup " + safe(attachment.target) + (attachment.gone ? fmt::format(" (gone; number {})", attachment.id) : "");
}

}  // namespace

nlohmann::json attachments_json(const engine::bpf::Overview& overview) {
    nlohmann::json json{{"attachments", nlohmann::json::array()},
                        {"counts",
                         {{"execs", overview.execs},
                          {"changed", overview.changed},
                          {"failures", overview.failures},
                          {"killed", overview.killed},
                          {"marks", overview.marks},
                          {"lost", overview.lost},
                          {"auxv_reads", overview.reads},
                          {"auxv_read_failures", overview.read_failures}}},
                        {"coverage", nlohmann::json::array()},
                        {"last_failures", nlohmann::json::array()},
                        {"cost", nlohmann::json::array()}};
    for (const Attachment& attachment : overview.attachments) {
        nlohmann::json one{{"level", attachment.level},       {"target", attachment.target}, {"strict", attachment.strict},
                           {"attached_at", attachment.attached_at}, {"execs", attachment.execs},   {"failures", attachment.failures}};
        if (attachment.kind == Attachment::Kind::cgroup) {
            one["kind"] = "cgroup";
            one["cgroup_id"] = attachment.id;
            one["gone"] = attachment.gone;
        } else {
            one["kind"] = "tree";
            one["pid"] = attachment.root_pid;
            one["processes"] = attachment.members;
        }
        json["attachments"].push_back(std::move(one));
    }
    for (const engine::Channel& channel : overview.coverage) {
        json["coverage"].push_back({{"channel", channel.name}, {"state", engine::name(channel.state)}, {"why", channel.why}});
    }
    for (const engine::bpf::Failure& failure : overview.last_failures) {
        json["last_failures"].push_back({{"pid", failure.pid}, {"program", failure.program}, {"why", failure.why}, {"boot_nanoseconds", failure.boot_nanoseconds}});
    }
    for (const engine::bpf::ProgramCost& cost : overview.costs) {
        json["cost"].push_back({{"program", cost.name}, {"runs", cost.runs}, {"nanoseconds", cost.nanoseconds}});
    }
    return json;
}

std::string attachments_text(const engine::bpf::Overview& overview, const View& view) {
    std::string text = heading(view, "Attached (BPF engine)");
    Table table({"level", "to", "execs", "not levelled", ""});
    table.align(2, Align::right).align(3, Align::right);
    for (const Attachment& attachment : overview.attachments) {
        table.add_row({attachment.level.empty() ? "(inheritance)" : safe(attachment.level), target_of(attachment), std::to_string(attachment.execs),
                       attachment.failures == 0 ? "0" : view.style.bad(std::to_string(attachment.failures)), attachment.strict ? "strict" : ""});
    }
    text += table.text(view.style, view.width) + "\n";
    Table facts({"", ""});
    facts.add_row({"so far", fmt::format("{}, {} changed, {} set by prctl, {} of /proc/PID/auxv corrected", plural(overview.execs, "exec"), overview.changed,
                                         plural(overview.marks, "vector"), plural(overview.reads, "read"))});
    if (overview.failures != 0) {
        facts.add_row({"not levelled", view.style.bad(fmt::format("{}, {} killed", plural(overview.failures, "program"), overview.killed))});
    }
    if (overview.lost != 0) facts.add_row({"lost", view.style.bad(plural(overview.lost, "event")) + ": some program may not have inherited"});
    if (overview.read_failures != 0) facts.add_row({"not corrected", view.style.bad(plural(overview.read_failures, "read"))});
    for (const engine::bpf::Failure& failure : overview.last_failures) {
        facts.add_row({"", fmt::format("{} (process {}): {}", safe(failure.program), failure.pid, safe(failure.why))});
    }
    for (const engine::bpf::ProgramCost& cost : overview.costs) {
        if (cost.runs == 0) continue;
        facts.add_row({"cost", fmt::format("{}: {} runs of {:.2f} µs", safe(cost.name), cost.runs, static_cast<double>(cost.nanoseconds) / static_cast<double>(cost.runs) / 1000)});
    }
    text += facts.text(view.style, view.width) + "\n";
    Table coverage({"covered", "channel", "why not"});
    for (const engine::Channel& channel : overview.coverage) {
        coverage.add_row({std::string(engine::name(channel.state)), safe(channel.name), safe(channel.why)});
    }
    return text + coverage.text(view.style, view.width);
}

}  // namespace cpulevel::cli
