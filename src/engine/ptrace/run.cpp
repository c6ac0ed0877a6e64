#include "engine/ptrace/run.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <optional>

#include "engine/ptrace/processes.h"
#include "engine/ptrace/run_log.h"
#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

namespace {

volatile sig_atomic_t g_program_pidfd = -1;

// The front was killed: what the user meant to kill is the program. By pidfd, so that it is never another process.
void kill_program(int) {
    const int saved = errno;
    ::syscall(SYS_pidfd_send_signal, g_program_pidfd, SIGKILL, nullptr, 0);
    errno = saved;
}

// What the supervisor needs of its surroundings: nothing. Descriptors that it kept would keep pipes open that the
// user waits for; signals of the terminal are for the program.
void leave_the_foreground() {
    ::setpgid(0, 0);
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = 0; fd <= 2; ++fd) ::dup2(null.get(), fd);
    ::prctl(PR_SET_NAME, "cpulevel-trace", 0, 0, 0);
}

void close_all_but(std::initializer_list<int> kept) {
    std::vector<int> sorted(kept);
    std::ranges::sort(sorted);
    unsigned from = 3;
    for (const int fd : sorted) {
        if (fd < 3) continue;
        const auto number = static_cast<unsigned>(fd);
        if (number > from) ::syscall(SYS_close_range, from, number - 1, 0);
        from = number + 1;
    }
    ::syscall(SYS_close_range, from, ~0U, 0);
}

struct SupervisorSetup {
    const Preparation& preparation;
    const RunOptions& options;
    const std::vector<std::string>& command;
    int hello, go;  // from and to the program's process
    int report_to_front;
    pid_t front;
};

// Tells the front how it went: an empty message for "the program has ended and the report is written", or an error.
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

    pid_t program = 0;
    if (::read(hello.get(), &program, sizeof program) != sizeof program) ::_exit(0);
    g_program_pidfd = static_cast<int>(::syscall(SYS_pidfd_open, program, 0));
    struct sigaction on_front_death {};
    on_front_death.sa_handler = kill_program;
    ::sigaction(SIGUSR2, &on_front_death, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0);
    sigset_t but_one;
    ::sigfillset(&but_one);
    ::sigdelset(&but_one, SIGUSR2);
    ::sigprocmask(SIG_SETMASK, &but_one, nullptr);
    if (::getppid() != setup.front) ::_exit(0);

    RunLog log({setup.options.verbose, std::move(verbose_to), setup.options.report_path,
                setup.preparation.policy.level_name, std::string(name(setup.preparation.policy.method)), setup.command,
                setup.preparation.coverage});
    Supervisor supervisor(setup.preparation.policy, log,
                          {setup.options.on_supervisor_death == OnSupervisorDeath::kill_tree});
    if (const auto seized = supervisor.seize(program); !seized) {
        tell_front(front.get(), seized.error().message());
        ::_exit(1);  // `go` closes; the program's process ends without having started anything
    }
    const char byte = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(go.get(), &byte, 1);
    go.reset();
    hello.reset();
    std::optional<int> exit_status;
    supervisor.serve([&](int status) {
        exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        log.write_report(exit_status);
        tell_front(front.get(), "");
        front.reset();
    });
    log.write_report(exit_status);
    ::_exit(0);
}

// What the supervisor tells, up to its end or the end of the program.
std::string hear_supervisor(int fd) {
    std::string text;
    char byte = 0;
    for (;;) {
        const ssize_t got = ::read(fd, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got != 1 || byte == '\n') return text;
        text += byte;
    }
}

}  // namespace

Result<RunOutcome> run(const Preparation& preparation, const RunOptions& options,
                       const std::vector<std::string>& command) {
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
    const std::string told = hear_supervisor(report->read.get());
    int exec_error = 0;
    const bool not_started = ::read(failure->read.get(), &exec_error, sizeof exec_error) == sizeof exec_error;
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (!told.empty()) {
        return machine_error("the program was not started", command[0], told, "`cpulevel check` tells what works here");
    }
    if (not_started && exec_error < 0) {
        errno = -exec_error;
        return system_error(ErrorKind::machine, "the program was not started: no seccomp filter", command[0]);
    }
    if (not_started) return RunOutcome{.exec_errno = exec_error};
    if (WIFSIGNALED(status)) return RunOutcome{.exit_status = 128 + WTERMSIG(status), .died_of = WTERMSIG(status)};
    return RunOutcome{.exit_status = WEXITSTATUS(status)};
}

}  // namespace cpulevel::engine::ptrace
