#include "engine/ptrace/processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

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

}  // namespace cpulevel::engine::ptrace
