#include "checkpoint/criu_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "engine/ptrace/processes.h"
#include "util/fd.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

constexpr std::size_t kMostOutput = 1U << 20U;
constexpr const char* kInstall =
    "install CRIU (Debian: criu; version 4.1 or later for Linux 6.12 and later), or give --criu PATH";

bool is_executable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

std::string search_path() {
    const char* const path = std::getenv("PATH");
    // CRIU is an administrator's program, and not every shell has that folder.
    return std::string(path == nullptr ? "/usr/bin:/bin" : path) + ":/usr/local/sbin:/usr/sbin:/sbin";
}

[[noreturn]] void become_criu(const Criu& criu, const std::vector<std::string>& arguments, int go, int output) {
    char byte = 0;
    if (::read(go, &byte, 1) != 1) ::_exit(126);
    // The input stays: a job of a shell is restored to the terminal that is there.
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    std::vector<std::string> words = arguments;
    words.insert(words.begin(), criu.path);
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    ::execv(criu.path.c_str(), pointers.data());
    ::_exit(127);
}

}  // namespace

Result<Criu> find_criu(const std::string& named) {
    Criu criu;
    if (named.find('/') != std::string::npos) {
        criu.path = named;
    } else {
        const std::string path = search_path();
        for (const std::string_view folder : split(path, ':')) {
            const std::string candidate = fmt::format("{}/{}", folder, named.empty() ? "criu" : named);
            if (!folder.empty() && is_executable(candidate)) {
                criu.path = candidate;
                break;
            }
        }
    }
    if (criu.path.empty() || !is_executable(criu.path)) {
        return machine_error("CRIU is not there", named.empty() ? "criu" : named, "", kInstall);
    }
    const auto asked = run_criu(criu, {"--version"});
    if (!asked) return std::unexpected(asked.error());
    const auto at = asked->output.find("Version: ");
    if (asked->status != 0 || at == std::string::npos) {
        return machine_error("this is no CRIU that works", criu.path, printable(trim(asked->output), 200), kInstall);
    }
    const std::string_view rest = std::string_view(asked->output).substr(at + std::string_view("Version: ").size());
    criu.version = printable(trim(rest.substr(0, rest.find('\n'))), 40);
    return criu;
}

Result<CriuEnd> run_criu(const Criu& criu, const std::vector<std::string>& arguments, const BeforeCriu& before) {
    auto go = engine::ptrace::Pipe::create();
    if (!go) return std::unexpected(go.error());
    const Fd output(::memfd_create("criu-output", MFD_CLOEXEC));
    if (!output.valid()) return system_error(ErrorKind::machine, "cannot start CRIU", "memfd_create");
    const pid_t child = ::fork();
    if (child < 0) return system_error(ErrorKind::machine, "cannot start CRIU", "fork");
    if (child == 0) {
        go->write.reset();
        become_criu(criu, arguments, go->read.get(), output.get());
    }
    go->read.reset();
    Result<void> begun;
    if (before) begun = before(child);
    const char byte = 'g';
    if (begun && ::write(go->write.get(), &byte, 1) != 1)
        begun = system_error(ErrorKind::machine, "cannot start CRIU", criu.path);
    go->write.reset();  // without the byte the child ends
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!begun) return std::unexpected(begun.error());
    CriuEnd end;
    end.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::array<char, 65536> buffer;
    for (off_t at = 0; end.output.size() < kMostOutput;) {
        const ssize_t got = ::pread(output.get(), buffer.data(), buffer.size(), at);
        if (got <= 0) break;
        end.output.append(buffer.data(), static_cast<std::size_t>(got));
        at += got;
    }
    if (end.status == 127) return machine_error("cannot start CRIU", criu.path);
    return end;
}

void add_options(std::vector<std::string>& words, const CriuOptions& options, const std::vector<std::string>& more) {
    if (options.shell_job) words.emplace_back("--shell-job");
    if (options.tcp_established) words.emplace_back("--tcp-established");
    if (options.file_locks) words.emplace_back("--file-locks");
    if (options.external_unix) words.emplace_back("--ext-unix-sk");
    words.insert(words.end(), more.begin(), more.end());
}

Error criu_error(std::string what, const CriuLog& log, const CriuEnd& end) {
    const auto written = log.of_this_run();
    const std::string whole = written.value_or(std::string{}) + end.output;
    const std::string more = written ? fmt::format("all that CRIU says is in {}", log.path()) : std::string{};
    // Our own script knows better why than CRIU, which only knows that it failed.
    if (const auto own = own_lines(whole); !own.empty())
        return {ErrorKind::refused, std::move(what), "", 0, join(own, "; "), more};
    auto [line, advice] = explain(whole);
    if (line.empty()) line = said_outside_of_log(end.output);
    line = line.empty() ? fmt::format("CRIU ended with status {}, and said nothing", end.status) : "CRIU: " + line;
    if (!advice.empty() && !more.empty()) advice += "; ";
    return {ErrorKind::machine, std::move(what), "", 0, std::move(line), advice + more};
}

}  // namespace cpulevel::checkpoint
