#include "checkpoint/criu_log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

struct Advice {
    std::string_view words;  // of CRIU's message
    std::string_view advice;
};

// Words of CRIU 3.17 to 4.2.
constexpr std::array kAdvices{
    Advice{"--shell-job",
           "it belongs to a terminal's session: give --shell-job, or start it by setsid with its input and output "
           "redirected"},
    Advice{"Don't have tty to inherit session from", "it was a job at a terminal: restore it at a terminal"},
    Advice{"--ext-unix-sk",
           "it is connected to a process that stays behind: give --ext-unix-sk, or close the connection first"},
    Advice{"Can't dump half of stream unix connection",
           "--ext-unix-sk carries datagrams to a socket with a name; a stream to a process that stays behind has to be "
           "closed first"},
    Advice{"Can't dump name-less external socket",
           "--ext-unix-sk carries datagrams to a socket with a name: close the connection first"},
    Advice{"Can't get 1:16 opt", "CRIU before 4.2 cannot dump network sockets on Linux 6.16 and later"},
    Advice{"--tcp-established", "it has open TCP connections: give --tcp-established, or close them first"},
    Advice{"Connected TCP socket", "it has open TCP connections: give --tcp-established, or close them first"},
    Advice{"--file-locks", "it holds locks on files: give --file-locks if nobody else uses these files"},
    Advice{"Some file locks are hold", "it holds locks on files: give --file-locks if nobody else uses these files"},
    Advice{"--link-remap", "it has a file open that was deleted: give --criu-option=--link-remap"},
    Advice{"--ghost-limit", "it has a large deleted file open: give --criu-option=--ghost-limit=SIZE"},
    Advice{"Can't lookup mount",
           "it has a file open that belongs to another mount namespace: redirect its input and output to files of its "
           "own"},
    Advice{"outside of its pid namespace", "its session began outside of its pid namespace: start it by setsid"},
    Advice{"io_uring", "CRIU cannot carry io_uring: have the program do without it"},
    Advice{"NOFILE",
           "CRIU raises its limit of open files to fs.nr_open, which root without CAP_SYS_RESOURCE may not: sysctl "
           "fs.nr_open=$(ulimit "
           "-Hn) for that time"},
    Advice{"Unable to interrupt task", "somebody traces it: strace, gdb, or another supervisor; end that first"},
    Advice{"unable to seize", "somebody traces it: strace, gdb, or another supervisor; end that first"},
    Advice{"vdso",
           "this CRIU does not know this kernel's vdso: a newer CRIU does (Debian 12's 3.17.1 needs Linux 6.1 or "
           "earlier)"},
    Advice{"Pid",
           "its process numbers have to be free: restore in a pid namespace of its own (unshare -p -f --mount-proc), "
           "or end who has them"},
    Advice{"File exists",
           "its process numbers have to be free: restore in a pid namespace of its own (unshare -p -f --mount-proc), "
           "or end who "
           "has them"},
    Advice{
        "has bad size",
        "a file that the program has mapped is another one here: the same version of its packages has to be installed"},
    Advice{
        "has bad build-ID",
        "a file that the program has mapped is another one here: the same version of its packages has to be installed"},
    Advice{"has bad mode", "a file has other permissions here than where the checkpoint was made: make them the same"},
    Advice{"No such file or directory",
           "a file that the program uses is not here: install the same packages, and copy its data"},
    Advice{"xsave",
           "restore by `cpulevel restore`, or give --cpu-cap=none: CRIU looks at the machine, not at what the program "
           "was shown"},
    Advice{"CPU",
           "restore by `cpulevel restore`, or give --cpu-cap=none: CRIU looks at the machine, not at what the program "
           "was shown"},
};

// "(00.012345) Error (criu/cr-dump.c:1234): Something\n" and, of a restored process, "(00.012345)   4711: Error (...):
// Something".
std::optional<std::string_view> message_of(std::string_view line) {
    const auto error = line.find("Error (");
    if (error == std::string_view::npos) return std::nullopt;
    const auto end = line.find("): ", error);
    return end == std::string_view::npos ? trim(line.substr(error)) : trim(line.substr(end + 3));
}

std::string_view advice_for(std::string_view message) {
    for (const Advice& known : kAdvices) {
        if (message.find(known.words) != std::string_view::npos) return known.advice;
    }
    return {};
}

// Said on the way, and gone on: only where there is nothing else to tell.
constexpr std::array<std::string_view, 3> kByTheWay{"RLIMIT_NOFILE", "exited, status=", "Unable to detach from"};

bool is_by_the_way(std::string_view message) {
    return std::ranges::any_of(kByTheWay,
                               [&](std::string_view words) { return message.find(words) != std::string_view::npos; });
}

}  // namespace

Explained explain(std::string_view log) {
    Explained explained;
    Explained by_the_way;
    for (const std::string_view line : split(log, '\n')) {
        const auto message = message_of(line);
        if (!message) continue;
        const std::string_view advice = advice_for(*message);
        Explained& into = is_by_the_way(*message) ? by_the_way : explained;
        if (!into.line.empty() && (advice.empty() || !into.advice.empty())) continue;
        into = {printable(*message, 300), std::string(advice)};
    }
    return explained.line.empty() ? by_the_way : explained;
}

std::string said_outside_of_log(std::string_view output) {
    constexpr std::size_t kMostLines = 2;
    std::vector<std::string> lines;
    for (const std::string_view line : split(output, '\n')) {
        const std::string_view text = trim(line);
        if (lines.size() == kMostLines || text.starts_with("Usage:")) break;
        if (!text.empty()) lines.push_back(printable(text, 300));
    }
    return join(lines, " ");
}

CriuLog::CriuLog(std::string path) : path_(std::move(path)) {
    struct stat status{};
    if (::unlink(path_.c_str()) != 0 && ::lstat(path_.c_str(), &status) == 0) before_ = status;
}

std::optional<std::string> CriuLog::of_this_run() const {
    constexpr std::size_t kMost = 256U << 20U;
    struct stat now{};
    if (::lstat(path_.c_str(), &now) != 0) return std::nullopt;
    const auto when = [](const struct stat& status) {
        return std::pair(status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    };
    if (before_ && before_->st_ino == now.st_ino && before_->st_size == now.st_size && when(*before_) == when(now))
        return std::nullopt;
    auto text = read_regular_file(path_, kMost);
    return text ? std::optional(std::move(*text)) : std::nullopt;
}

std::vector<std::string> own_lines(std::string_view log) {
    constexpr std::string_view kStart = "cpulevel: ";
    std::vector<std::string> lines;
    for (const std::string_view line : split(log, '\n')) {
        if (line.starts_with(kStart)) lines.push_back(printable(line.substr(kStart.size()), 1000));
    }
    return lines;
}

}  // namespace cpulevel::checkpoint
