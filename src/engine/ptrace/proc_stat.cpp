#include "engine/ptrace/proc_stat.h"

#include <fcntl.h>

#include <array>
#include <csignal>
#include <charconv>

#include <fmt/format.h>

#include "util/fd.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

std::optional<ProcStat> parse_proc_stat(std::string_view line) {
    // The name in field 2 may hold anything, also ") 3 (": the last parenthesis ends it.
    const auto name_end = line.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= line.size()) return std::nullopt;
    line.remove_prefix(name_end + 2);

    constexpr std::size_t kFirst = 3;
    constexpr std::size_t kLast = 51;
    std::array<std::uint64_t, kLast + 1> fields{};
    ProcStat stat;
    stat.state = line.front();
    std::size_t field = kFirst;
    while (field <= kLast && !line.empty()) {
        const auto end = std::min(line.find(' '), line.size());
        if (field != kFirst) {
            const std::string_view word = line.substr(0, end);
            // A negative number (a priority, a tty) is of no interest here and stays 0.
            std::from_chars(word.data(), word.data() + word.size(), fields[field]);
        }
        line.remove_prefix(std::min(end + 1, line.size()));
        ++field;
    }
    if (field <= kLast) return std::nullopt;
    stat.parent = static_cast<pid_t>(fields[4]);
    stat.start_time = fields[22];
    stat.start_code = fields[26];
    stat.end_code = fields[27];
    stat.start_stack = fields[28];
    stat.blocked = fields[32];
    stat.ignored = fields[33];
    stat.caught = fields[34];
    stat.processor = static_cast<int>(fields[39]);
    stat.start_data = fields[45];
    stat.end_data = fields[46];
    stat.start_brk = fields[47];
    stat.arg_start = fields[48];
    stat.arg_end = fields[49];
    stat.env_start = fields[50];
    stat.env_end = fields[51];
    return stat;
}

std::optional<ProcStat> read_proc_stat(pid_t tid) {
    std::array<char, 32> path;
    *fmt::format_to(path.data(), "/proc/{}/stat", tid) = '\0';
    const Fd fd(::open(path.data(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return std::nullopt;
    std::array<char, 2048> line;
    const ssize_t got = ::read(fd.get(), line.data(), line.size());
    if (got <= 0) return std::nullopt;
    return parse_proc_stat({line.data(), static_cast<std::size_t>(got)});
}

namespace {

std::string status_text(pid_t pid, std::string_view key) {
    const auto status = read_file(fmt::format("/proc/{}/status", pid));
    return status ? std::string(status_field(*status, key)) : std::string{};
}

std::uint64_t status_number(pid_t pid, std::string_view key) { return parse_decimal(status_text(pid, key)).value_or(0); }

}  // namespace

std::uint64_t count_filters(pid_t pid) { return status_number(pid, "Seccomp_filters"); }

bool sigstop_is_pending(pid_t pid) { return ((parse_hex(status_text(pid, "ShdPnd")).value_or(0) >> (SIGSTOP - 1)) & 1U) != 0; }

pid_t process_of(pid_t tid) { return static_cast<pid_t>(status_number(tid, "Tgid")); }

}  // namespace cpulevel::engine::ptrace
