#include "engine/ptrace/processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "engine/ptrace/control.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/registry.h"

namespace cpulevel::engine::ptrace {

namespace {

// glibc takes SIGSETXID (33) for itself as soon as a thread is made, which the probes do, and its sigaction() refuses to
// give it back. A program that would have found it ignored must find it so.
constexpr long kSetxid = 33;
constexpr std::size_t kMaskSize = 8;  // bytes of the kernel's signal set

bool setxid_is_ignored() {
    std::array<std::uint64_t, 8> action{};  // struct sigaction of the kernel: the handler is first
    return ::syscall(SYS_rt_sigaction, kSetxid, nullptr, action.data(), kMaskSize) == 0 && action[0] == 1;
}

const bool g_setxid_was_ignored = setxid_is_ignored();  // before main(), so before any thread

void ignore_setxid_again() {
    const std::array<std::uint64_t, 8> action{1};
    ::syscall(SYS_rt_sigaction, kSetxid, action.data(), nullptr, kMaskSize);
}

// Stops this process as the program was stopped, so that the shell sees its job stopped; returns when continued.
void stop_like(int signal) {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    struct sigaction before {};
    ::sigaction(signal, &by_default, &before);
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, signal);
    ::kill(::getpid(), signal);
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);  // stops here, for the signals that can be blocked
    ::sigprocmask(SIG_BLOCK, &one, nullptr);
    ::sigaction(signal, &before, nullptr);
}

bool is_stopped(pid_t pid) {
    const auto stat = read_proc_stat(pid);
    return stat && (stat->state == 'T' || stat->state == 't');
}

// A signal that somebody sent to us is for the program. One that the terminal's driver sends (SI_KERNEL) goes to the
// whole foreground group and has reached the program without us.
void pass_on(const siginfo_t& info, pid_t program, pid_t supervisor) {
    if (info.si_code == SI_KERNEL) return;
    if (info.si_code <= 0 && info.si_pid == supervisor) return;  // for us: the program was continued or has ended
    if (info.si_signo == SIGCONT && !is_stopped(program)) return;  // it was continued with us
    if (info.si_code == SI_QUEUE) {
        ::sigqueue(program, info.si_signo, info.si_value);
    } else {
        ::kill(program, info.si_signo);
    }
}

}  // namespace

Result<Pipe> Pipe::create() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(ErrorKind::machine, "cannot make a pipe", "");
    Pipe pipe;
    pipe.read = Fd(ends[0]);
    pipe.write = Fd(ends[1]);
    return pipe;
}

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

void raise_file_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

void become_program(const std::vector<std::string>& command, const sigset_t& mask, pid_t supervisor,
                    ProgramPipes pipes, std::optional<FilterCookie> filter_cookie) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    // Under Yama only ancestors may trace, and the supervisor is none; elsewhere this is an error without meaning.
    ::prctl(PR_SET_PTRACER, supervisor, 0, 0, 0);
    const pid_t self = ::getpid();
    char byte = 0;
    if (::write(pipes.hello, &self, sizeof self) != sizeof self || ::read(pipes.go, &byte, 1) != 1) ::_exit(125);
    if (filter_cookie) {
        if (const int error = install_call_filter(*filter_cookie); error != 0) {
            // prepare() tried it: this is a limit on memory, not on rights. Nothing runs half covered.
            const int negative = -error;
            [[maybe_unused]] const ssize_t ignored = ::write(pipes.failure, &negative, sizeof negative);
            ::_exit(125);
        }
    }
    if (g_setxid_was_ignored) ignore_setxid_again();
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execvp(arguments[0], arguments.data());
    const int error = errno;
    [[maybe_unused]] const ssize_t ignored = ::write(pipes.failure, &error, sizeof error);
    ::_exit(error == ENOENT ? 127 : 126);
}

int mirror_program(pid_t program, pid_t supervisor) {
    sigset_t all;
    ::sigfillset(&all);
    bool follows_stops = true;  // not while the supervisor leaves the tree stopped (let_go.h): our user did not stop it
    for (;;) {
        siginfo_t info{};
        if (::sigwaitinfo(&all, &info) < 0) continue;
        // Another one may have taken the tree up since.
        const bool sent = info.si_code <= 0 && info.si_pid != 0 && info.si_signo != SIGCHLD;
        if (sent && info.si_pid != supervisor && tracer_of(program) == info.si_pid) supervisor = info.si_pid;
        const bool told = info.si_code <= 0 && info.si_pid == supervisor;
        if (told && info.si_signo == SIGUSR1) follows_stops = false;
        if (told && info.si_signo == SIGUSR2) follows_stops = true;
        if (info.si_signo != SIGCHLD) {
            pass_on(info, program, supervisor);
            continue;
        }
        // One SIGCHLD may stand for several; as PID 1 we are also the parent of every orphan.
        int status = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
            if (pid == supervisor || pid != program) continue;
            if (!WIFSTOPPED(status)) {
                // A supervisor that has let the program go hears of its end from us alone.
                ::sigqueue(supervisor, program_gone_signal(), sigval{.sival_int = status});
                return status;
            }
            if (follows_stops) stop_like(WSTOPSIG(status));
        }
    }
}

void die_of(int signal) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);  // the program has left its own
    ::signal(signal, SIG_DFL);
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, signal);
    ::kill(::getpid(), signal);
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
}

}  // namespace cpulevel::engine::ptrace
