#include <cerrno>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "checkpoint/record.h"
#include "level/level_json.h"
#include "profile/json_reader.h"
#include "profile/profile_json.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

using nlohmann::json;
using profile::JsonDocument;
using profile::JsonValue;

constexpr std::uint64_t kMostPid = 0x7fffffff;
constexpr std::uint64_t kMostCount = std::uint64_t{1} << 40U;
constexpr std::size_t kMostTrees = 64, kMostChannels = 64, kMostStopped = 1U << 16U;

pid_t pid_of(const JsonValue& value) { return static_cast<pid_t>(value.number(kMostPid)); }

// An enumeration whose values, from the first to `last`, have names.
template <class Enum>
Enum named(const JsonValue& value, Enum last) {
    const std::string text = value.string(64);
    for (std::underlying_type_t<Enum> number = 0; number <= static_cast<std::underlying_type_t<Enum>>(last); ++number) {
        if (name(static_cast<Enum>(number)) == text) return static_cast<Enum>(number);
    }
    value.fail("\"" + printable(text, 64) + "\" is not known here");
    return last;
}

// All but the level, which is a file of its own kind in it.
LevelledTree read_tree(const JsonValue& value) {
    value.only({"level", "root", "supervisor", "front", "portable", "stopped_before", "processes", "threads",
                "cpuid_in_memory", "cpuid_traps", "command", "cpuid_method", "coverage"});
    LevelledTree tree;
    tree.root = pid_of(value.member("root"));
    if (tree.root == 0) value.member("root").fail("a process has a number from 1");
    tree.supervisor = pid_of(value.member("supervisor"));
    tree.front = pid_of(value.member("front"));
    tree.portable = value.member("portable").boolean();
    for (const JsonValue& item : value.member("stopped_before").items(kMostStopped))
        tree.stopped_before.push_back(pid_of(item));
    tree.processes = value.member("processes").number(kMostCount);
    tree.threads = value.member("threads").number(kMostCount);
    tree.cpuid_in_memory = value.member("cpuid_in_memory").number(kMostCount);
    tree.cpuid_traps = value.member("cpuid_traps").number(kMostCount);
    tree.command = value.member("command").string(kLongestText + 64);
    tree.cpuid_method = value.member("cpuid_method").string(128);
    for (const JsonValue& item : value.member("coverage").items(kMostChannels)) {
        item.only({"channel", "state", "why"});
        engine::Channel channel;
        channel.name = item.member("channel").string();
        channel.state = named(item.member("state"), engine::ChannelState::none);
        channel.why = item.member("why").string(kLongestText + 64);
        tree.coverage.push_back(std::move(channel));
    }
    return tree;
}

Audit read_audit(const JsonValue& value) {
    value.only({"target", "safe", "findings"});
    Audit audit;
    audit.target = value.member("target").string();
    audit.safe = value.member("safe").boolean();
    for (const JsonValue& item : value.member("findings").items(kMostFindings)) {
        item.only({"kind", "severity", "certainty", "pid", "thread", "process", "what", "why", "advice"});
        audit::Finding finding;
        finding.kind = named(item.member("kind"), audit::Kind::unreadable);
        finding.severity = named(item.member("severity"), audit::Severity::unsafe);
        finding.certainty = named(item.member("certainty"), audit::Certainty::certain);
        finding.pid = pid_of(item.member("pid"));
        finding.thread = pid_of(item.member("thread"));
        finding.process = item.member("process").string();
        finding.what = item.member("what").string(kLongestText + 64);
        finding.why = item.member("why").string(kLongestText + 64);
        finding.advice = item.member("advice").string(kLongestText + 64);
        audit.findings.push_back(std::move(finding));
    }
    return audit;
}

CriuOptions read_options(const JsonValue& value) {
    value.only({"shell_job", "tcp_established", "file_locks", "external_unix"});
    return {.shell_job = value.member("shell_job").boolean(),
            .tcp_established = value.member("tcp_established").boolean(),
            .file_locks = value.member("file_locks").boolean(),
            .external_unix = value.member("external_unix").boolean()};
}

}  // namespace

Result<Record> from_json(std::string_view text, const std::string& name) {
    auto document = JsonDocument::parse(text, "not a valid record of a checkpoint", name);
    if (!document) return std::unexpected(document.error());
    const JsonValue root = (*document)->root();
    if (const std::string schema = root.member("schema").string(64); schema != kSchema) {
        root.member("schema").fail("\"" + printable(schema, 64) + "\" is not read by this version",
                                   "this version reads " + std::string(kSchema));
        return std::unexpected((*document)->verdict().error());
    }
    root.only({"schema", "cpulevel", "created", "node", "trees", "criu", "audit"});
    Record record;
    record.version = root.member("cpulevel").string(128);
    record.created = root.member("created").string(64);
    const auto trees = root.member("trees").items(kMostTrees);
    if (trees.empty()) root.member("trees").fail("no levelled tree is in it");
    for (const JsonValue& tree : trees) record.trees.push_back(read_tree(tree));
    record.criu = read_options(root.member("criu"));
    if (const auto audit = root.maybe("audit")) record.audit = read_audit(*audit);
    if (auto good = (*document)->verdict(); !good) return std::unexpected(good.error());

    // Bounded and free of surprises by now; the files within it have readers of their own.
    const json whole = json::parse(text, nullptr, false);
    const auto within = [&](const json& part) { return part.dump(-1, ' ', false, json::error_handler_t::replace); };
    auto node = profile::from_json(within(whole.value("node", json())), name + ": node");
    if (!node) return std::unexpected(node.error());
    record.node = std::move(*node);
    for (std::size_t i = 0; i < record.trees.size(); ++i) {
        auto level = level::from_json(within(whole["trees"][i].value("level", json())),
                                      name + ": trees[" + std::to_string(i) + "].level");
        if (!level) return std::unexpected(level.error());
        record.trees[i].level = std::move(*level);
    }
    return record;
}

Result<std::optional<Record>> read_record(const std::string& folder) {
    const std::string path = folder + "/" + kFileName;
    const auto text = read_regular_file(path, kMostBytes);
    if (!text && text.error().errno_value == ENOENT) return std::nullopt;
    if (!text) return std::unexpected(text.error());
    auto record = from_json(*text, path);
    if (!record) return std::unexpected(record.error());
    return std::optional(std::move(*record));
}

}  // namespace cpulevel::checkpoint
