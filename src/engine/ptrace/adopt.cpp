#include "engine/ptrace/adopt.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <tuple>
#include <utility>

#include "engine/ptrace/answers.h"
#include "engine/ptrace/asking.h"
#include "engine/ptrace/control.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/processes.h"
#include "engine/ptrace/supervision.h"
#include "util/file.h"
#include "util/output_file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

std::vector<std::string> command_of(pid_t process) {
    std::vector<std::string> words;
    const auto text = read_file(fmt::format("/proc/{}/cmdline", process));
    if (!text) return words;
    for (const std::string_view word : split(*text, '\0')) words.emplace_back(word);
    while (!words.empty() && words.back().empty()) words.pop_back();
    return words;
}

std::string read_to_end(int fd) {
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

[[noreturn]] void supervise(const Preparation& preparation, const RunOptions& run, const TakeUpOptions& options, Fd report_to) {
    ::setsid();
    leave_the_foreground();
    close_all_but({report_to.get()});
    unblock_requests();
    raise_file_limit();
    RunLog log({false, {}, run.report_path, -1, preparation.policy.level_name, std::string(name(preparation.policy.method)),
                command_of(options.root), preparation.coverage, level_text(preparation)});
    Supervision::Setup setup;
    setup.preparation = preparation;
    setup.options.kill_tree_with_us = run.on_supervisor_death == OnSupervisorDeath::kill_tree;
    setup.options.kill_uncovered = run.kill_uncovered;
    setup.options.front = options.front;
    setup.waits = false;
    Supervision supervision(std::move(setup), log);
    const auto done = supervision.supervisor().take_up(options);
    if (done && options.front != 0) ::kill(options.front, SIGUSR2);  // a supervisor before us may have let the tree go, stopped
    if (!done) {
        std::ignore = write_all(report_to.get(), answer_text(done.error()));  // who asked may be gone
        ::_exit(1);
    }
    AdoptReport report;
    report.supervisor = ::getpid();
    report.level = preparation.policy.level_name;
    report.done = *done;
    report.stays = stays_after(*done);
    std::ignore = write_all(report_to.get(), answer_text(report));
    report_to.reset();
    supervision.serve();
    log.write_report(std::nullopt);
    ::_exit(0);
}

std::string numbers(const std::vector<pid_t>& pids) {
    constexpr std::size_t kMost = 8;
    std::string text;
    for (std::size_t i = 0; i < pids.size() && i < kMost; ++i) text += (i == 0 ? "" : ", ") + std::to_string(pids[i]);
    return pids.size() > kMost ? text + fmt::format(" and {} more", pids.size() - kMost) : text;
}

std::string_view plural_s(const std::vector<pid_t>& pids) { return pids.size() == 1 ? "" : "es"; }

}  // namespace

std::vector<std::string> stays_after(const TakenUp& done) {
    std::vector<std::string> sentences;
    if (!done.told_more.empty()) {
        sentences.push_back(fmt::format(
            "process{} {}: the auxiliary vector shows more than the level; it was started unlevelled or by a larger level, and goes on "
            "with the features that it looked up then until it executes a program",
            plural_s(done.told_more), numbers(done.told_more)));
    }
    std::vector<pid_t> others;
    for (const pid_t pid : done.unprepared) {
        if (std::ranges::find(done.told_more, pid) == done.told_more.end()) others.push_back(pid);
    }
    if (!others.empty()) {
        sentences.push_back(fmt::format(
            "process{} {}: none of the CPUID instructions answers from memory; it was started unlevelled (or with --no-patch), and then goes "
            "on with the features that it looked up at its start until it executes a program",
            plural_s(others), numbers(others)));
    }
    return sentences;
}

Result<AdoptReport> adopt(const Preparation& prepared, const RunOptions& run, const TakeUpOptions& options) {
    if (!run.report_path.empty()) {
        if (auto can_be_written = check_output_file(run.report_path); !can_be_written) return std::unexpected(can_be_written.error());
    }
    Preparation preparation = prepared;
    // With a filter it may be an earlier supervisor's tree, whose filter stayed.
    if (preparation.policy.watch_calls && count_filters(options.root) == 0) do_without_filter(preparation);
    auto report = Pipe::create();
    if (!report) return std::unexpected(report.error());
    // Twice, so that it is nobody's child that waits for it.
    const pid_t between = ::fork();
    if (between < 0) return system_error(ErrorKind::machine, "cannot start the supervisor's process", "");
    if (between == 0) {
        const pid_t supervisor = ::fork();
        if (supervisor != 0) ::_exit(supervisor < 0 ? 1 : 0);
        report->read.reset();
        supervise(preparation, run, options, std::move(report->write));
    }
    report->write.reset();
    int status = 0;
    while (::waitpid(between, &status, 0) < 0 && errno == EINTR) {
    }
    const std::string text = read_to_end(report->read.get());
    if (text.empty()) {
        return machine_error("the supervisor ended without a word", "", "", "the tree runs on as before");
    }
    auto answer = parse_adopt_answer(text);
    if (answer) answer->coverage = preparation.coverage;
    return answer;
}

Result<AdoptReport> ask_to_adopt(const TreeView& tree, bool leave_stopped, std::chrono::milliseconds patience) {
    const Request request{Request::Kind::take_up, leave_stopped,
                          static_cast<std::uint16_t>(std::chrono::duration_cast<std::chrono::seconds>(patience).count())};
    const auto text = ask_supervisor(tree.supervisor, tree.owner, request);
    if (!text) return std::unexpected(text.error());
    auto report = parse_adopt_answer(*text);
    if (!report) return report;
    report->supervisor = tree.supervisor;
    report->by_waiting_supervisor = true;
    report->coverage = tree.coverage;
    return report;
}

}  // namespace cpulevel::engine::ptrace
