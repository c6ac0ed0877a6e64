#include "engine/ptrace/answers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cpulevel::engine::ptrace {

namespace {

using nlohmann::json;

// What fits into a record (TreeRecord::kMostAnswer): five lists of pids, two of texts, a name.
constexpr std::size_t kMostPids = 200;      // of each list, up to 8 bytes each; the counts are always whole
constexpr std::size_t kMostText = 300;      // characters of one text
constexpr std::size_t kMostTexts = 2500;    // bytes of a list of texts, as JSON writes them: a control character takes six

json pids(const std::vector<pid_t>& all) {
    return json(std::vector<pid_t>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kMostPids))));
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json texts(const std::vector<std::string>& all) {
    json list = json::array();
    std::size_t size = 0;
    for (const std::string& text : all) {
        json one = text.substr(0, kMostText);
        size += dump(one).size() + 1;
        if (size > kMostTexts) break;
        list.push_back(std::move(one));
    }
    return list;
}

// Fields that are missing or of another type are an error, told by throwing, as nlohmann's own are.
std::vector<pid_t> pids_of(const json& value, const char* field) {
    auto list = value.at(field).get<std::vector<pid_t>>();
    if (std::ranges::any_of(list, [](pid_t pid) { return pid <= 0; })) throw std::out_of_range(field);
    return list;
}

template <class T>
Result<T> parse(std::string_view text, T (*read)(const json&)) {
    try {
        const json value = json::parse(text);
        if (value.contains("error")) {
            const json& error = value.at("error");
            const int kind = error.at("kind").get<int>();
            if (kind < 0 || kind > static_cast<int>(ErrorKind::refused)) throw std::out_of_range("kind");
            return std::unexpected(Error{static_cast<ErrorKind>(kind), error.at("what").get<std::string>(),
                                         error.at("on").get<std::string>(), error.at("errno").get<int>(),
                                         error.at("why").get<std::string>(), error.at("hint").get<std::string>()});
        }
        return read(value);
    } catch (const std::exception& problem) {
        return machine_error("the supervisor's answer cannot be understood", "", problem.what(),
                             "it may be another version of cpulevel");
    }
}

ReleaseReport read_release(const json& value) {
    ReleaseReport report;
    report.supervisor = value.at("supervisor").get<pid_t>();
    report.level = value.at("level").get<std::string>();
    report.left_stopped = value.at("left_stopped").get<bool>();
    report.already = value.at("already").get<bool>();
    report.supervisor_waits = value.at("waits").get<bool>();
    report.done.processes = pids_of(value, "processes");
    report.done.stopped = pids_of(value, "stopped");
    report.done.stopped_before = pids_of(value, "stopped_before");
    report.done.threads = value.at("threads").get<std::size_t>();
    report.done.cpuid_traps = value.at("cpuid_traps").get<std::size_t>();
    report.done.map_traps = value.at("map_traps").get<std::size_t>();
    report.done.jumps = value.at("jumps").get<std::size_t>();
    report.done.faulting = value.at("faulting").get<bool>();
    report.unlevelled = value.at("unlevelled").get<std::vector<std::string>>();
    return report;
}

AdoptReport read_adopt(const json& value) {
    AdoptReport report;
    report.supervisor = value.at("supervisor").get<pid_t>();
    report.level = value.at("level").get<std::string>();
    report.already = value.at("already").get<bool>();
    report.done.processes = pids_of(value, "processes");
    report.done.continued = pids_of(value, "continued");
    report.done.still_stopped = pids_of(value, "still_stopped");
    report.done.told_more = pids_of(value, "told_more");
    report.done.unprepared = pids_of(value, "unprepared");
    report.done.threads = value.at("threads").get<std::size_t>();
    report.done.jumps = value.at("jumps").get<std::size_t>();
    report.done.traps = value.at("traps").get<std::size_t>();
    report.done.undecided = value.at("undecided").get<std::size_t>();
    report.done.answers = value.at("answers").get<std::size_t>();
    report.done.problems = value.at("problems").get<std::vector<std::string>>();
    report.stays = value.at("stays").get<std::vector<std::string>>();
    return report;
}

}  // namespace

std::string answer_text(const Error& error) {
    return dump({{"error", {{"kind", static_cast<int>(error.kind)},
                            {"what", error.what},
                            {"on", error.on},
                            {"errno", error.errno_value},
                            {"why", error.why.substr(0, 2000)},
                            {"hint", error.hint}}}});
}

std::string answer_text(const ReleaseReport& report) {
    return dump({{"supervisor", report.supervisor},
                 {"level", report.level.substr(0, kMostText)},
                 {"left_stopped", report.left_stopped},
                 {"already", report.already},
                 {"waits", report.supervisor_waits},
                 {"processes", pids(report.done.processes)},
                 {"stopped", pids(report.done.stopped)},
                 {"stopped_before", pids(report.done.stopped_before)},
                 {"threads", report.done.threads},
                 {"cpuid_traps", report.done.cpuid_traps},
                 {"map_traps", report.done.map_traps},
                 {"jumps", report.done.jumps},
                 {"faulting", report.done.faulting},
                 {"unlevelled", texts(report.unlevelled)}});
}

std::string answer_text(const AdoptReport& report) {
    return dump({{"supervisor", report.supervisor},
                 {"level", report.level.substr(0, kMostText)},
                 {"already", report.already},
                 {"processes", pids(report.done.processes)},
                 {"continued", pids(report.done.continued)},
                 {"still_stopped", pids(report.done.still_stopped)},
                 {"told_more", pids(report.done.told_more)},
                 {"unprepared", pids(report.done.unprepared)},
                 {"threads", report.done.threads},
                 {"jumps", report.done.jumps},
                 {"traps", report.done.traps},
                 {"undecided", report.done.undecided},
                 {"answers", report.done.answers},
                 {"problems", texts(report.done.problems)},
                 {"stays", texts(report.stays)}});
}

Result<ReleaseReport> parse_release_answer(std::string_view text) { return parse<ReleaseReport>(text, read_release); }
Result<AdoptReport> parse_adopt_answer(std::string_view text) { return parse<AdoptReport>(text, read_adopt); }

}  // namespace cpulevel::engine::ptrace
