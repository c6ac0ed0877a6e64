#include "engine/ptrace/run.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <optional>
#include <utility>

#include "engine/ptrace/control.h"
#include "engine/ptrace/mirror.h"
#include "engine/ptrace/processes.h"
#include "engine/ptrace/run_log.h"
#include "engine/ptrace/site_store.h"
#include "engine/ptrace/supervision.h"
#include "util/output_file.h"

namespace cpulevel::engine::ptrace {

namespace {

volatile sig_atomic_t g_program_pidfd = -1;

// The front was killed: what the user meant to kill is the program. By pidfd, so that it is never another process.
void kill_program(int) {
    const int saved = errno;
    ::syscall(SYS_pidfd_send_signal, g_program_pidfd, SIGKILL, nullptr, 0);
    errno = saved;
}

struct SupervisorSetup {
    const Preparation& preparation;
    const RunOptions& options;
    const std::vector<std::string>& command;
    int hello, go;  // from and to the program's process
    int report_to_front;
    pid_t front;
};

// What goes to the front, a line each: "w..." a warning, "e..." why the program was not started, "d" done: the program has
// ended and the report is written.
void tell_front(int fd, const std::string& text) {
    const std::string line = text + "\n";
    [[maybe_unused]] const ssize_t ignored = ::write(fd, line.data(), line.size());
}

[[noreturn]] void supervise(const SupervisorSetup& setup) {
    Fd verbose_to;
    if (setup.options.verbose) verbose_to = Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    leave_the_foreground();
    close_all_but({setup.hello, setup.go, setup.report_to_front, verbose_to.get()});
    Fd hello(setup.hello);
    Fd go(setup.go);
    Fd front(setup.report_to_front);
    ::fcntl(front.get(), F_SETFL, O_WRONLY | O_NONBLOCK);  // the front reads only at the end

    pid_t program = 0;
    if (::read(hello.get(), &program, sizeof program) != sizeof program) ::_exit(0);
    g_program_pidfd = static_cast<int>(::syscall(SYS_pidfd_open, program, 0));
    struct sigaction on_front_death {};
    on_front_death.sa_handler = kill_program;
    ::sigaction(front_gone_signal(), &on_front_death, nullptr);
    ::prctl(PR_SET_PDEATHSIG, front_gone_signal(), 0, 0, 0);
    unblock_requests();
    if (::getppid() != setup.front) ::_exit(0);
    raise_file_limit();

    RunLog log({setup.options.verbose, std::move(verbose_to), setup.options.report_path, front.get(),
                setup.preparation.policy.level_name, std::string(name(setup.preparation.policy.method)), setup.command,
                setup.preparation.coverage, level_text(setup.preparation)});
    std::optional<SiteStore> store;
    if (!setup.options.site_cache.empty()) {
        if (auto opened = SiteStore::open(setup.options.site_cache)) store = std::move(*opened);  // run() has tried it
    }
    std::optional<int> exit_status;
    Supervision::Setup life;
    life.preparation = setup.preparation;
    life.preparation.policy.filter_is_ours = setup.preparation.policy.watch_calls;
    life.options = {.kill_tree_with_us = setup.options.on_supervisor_death == OnSupervisorDeath::kill_tree,
                    .kill_uncovered = setup.options.kill_uncovered,
                    .store = store ? &*store : nullptr,
                    .front = setup.front};
    life.root_gone = [&](int status) {
        exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        log.write_report(exit_status);
        tell_front(front.get(), "d");
    };
    // A pidfd is not something that every version of CRIU can carry.
    life.let_go = [] { ::close(std::exchange(g_program_pidfd, -1)); };
    life.taken_up = [&] { g_program_pidfd = static_cast<int>(::syscall(SYS_pidfd_open, program, 0)); };
    Supervision supervision(std::move(life), log);
    if (const auto seized = supervision.supervisor().seize(program); !seized) {
        tell_front(front.get(), "e" + seized.error().message());
        ::_exit(1);  // `go` closes; the program's process ends without having started anything
    }
    const char byte = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(go.get(), &byte, 1);
    go.reset();
    hello.reset();
    supervision.serve();
    log.write_report(exit_status);
    ::_exit(0);
}

struct Told {
    std::vector<std::string> warnings;
    std::string error;
};

// What the supervisor tells, up to its end or the end of the program.
Told hear_supervisor(int fd) {
    Told told;
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
        for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
            const std::string line = text.substr(0, end);
            text.erase(0, end + 1);
            if (line.starts_with('w')) told.warnings.push_back(line.substr(1));
            if (line.starts_with('e')) told.error = line.substr(1);
            if (line.starts_with('d')) return told;
        }
        if (got <= 0) return told;
    }
}

}  // namespace

Result<RunOutcome> run(const Preparation& preparation, const RunOptions& options,
                       const std::vector<std::string>& command) {
    if (!options.site_cache.empty()) {
        if (const auto store = SiteStore::open(options.site_cache); !store) return std::unexpected(store.error());
    }
    if (!options.report_path.empty()) {
        if (auto can_be_written = check_output_file(options.report_path); !can_be_written) return std::unexpected(can_be_written.error());
    }
    auto hello = Pipe::create();
    auto go = Pipe::create();
    auto failure = Pipe::create();
    auto report = Pipe::create();
    for (const auto* pipe : {&hello, &go, &failure, &report}) {
        if (!*pipe) return std::unexpected(pipe->error());
    }

    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    // An ignored SIGCHLD would have the kernel reap the program before we see its status.
    struct sigaction child_default {};
    child_default.sa_handler = SIG_DFL;
    struct sigaction child_before {};
    ::sigaction(SIGCHLD, &child_default, &child_before);
    auto fail = [&](const char* what) -> Result<RunOutcome> {
        auto error = system_error(ErrorKind::machine, what, "");
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        return error;
    };

    const pid_t front = ::getpid();
    const pid_t supervisor = ::fork();
    if (supervisor < 0) return fail("cannot start the supervisor's process");
    if (supervisor == 0) {
        supervise({preparation, options, command, hello->read.release(), go->write.release(), report->write.release(),
                   front});
    }
    const pid_t program = ::fork();
    if (program < 0) return fail("cannot start the program's process");
    if (program == 0) {
        ::sigaction(SIGCHLD, &child_before, nullptr);
        hello->read.reset();
        go->write.reset();
        // prepare() has tried it; where it fails now, the program finds the length that it would find bare.
        static_cast<void>(set_vector_lengths(preparation.policy.vector_lengths));
        become_program(command, before, supervisor, {hello->write.get(), go->read.get(), failure->write.get()},
                       preparation.policy.watch_calls ? std::optional(preparation.policy.cookie) : std::nullopt);
    }
    hello->read.reset();
    hello->write.reset();
    go->read.reset();
    go->write.reset();
    failure->write.reset();
    report->write.reset();

    const int status = mirror_program(program, supervisor);
    Told told = hear_supervisor(report->read.get());
    int exec_error = 0;
    const bool not_started = ::read(failure->read.get(), &exec_error, sizeof exec_error) == sizeof exec_error;
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (!told.error.empty()) {
        return machine_error("the program was not started", command[0], told.error, "`cpulevel check` tells what works here");
    }
    if (not_started && exec_error < 0) {
        errno = -exec_error;
        return system_error(ErrorKind::machine, "the program was not started: no seccomp filter", command[0]);
    }
    RunOutcome outcome;
    outcome.problems = std::move(told.warnings);
    outcome.exec_errno = not_started ? exec_error : 0;
    outcome.died_of = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    outcome.exit_status = WIFSIGNALED(status) ? 128 + outcome.died_of : WEXITSTATUS(status);
    return outcome;
}

}  // namespace cpulevel::engine::ptrace
