#include "checkpoint/guard.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "checkpoint/note.h"
#include "checkpoint/process_end.h"
#include "engine/ptrace/processes.h"
#include "util/fd.h"

namespace cpulevel::checkpoint {

namespace {

[[noreturn]] void guard(pid_t criu, const std::string& note, const std::function<void()>& then, Fd ready) {
    ::setsid();
    engine::ptrace::close_all_but({ready.get()});
    // Ends by SIGTERM when it is not needed; nothing else is meant for it.
    sigset_t all;
    ::sigfillset(&all);
    ::sigdelset(&all, SIGTERM);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ::signal(SIGTERM, SIG_DFL);
    const ProcessEnd end(criu);
    const auto held = publish_note(criu, note);
    if (!end.valid() || !held) ::_exit(1);
    const pid_t self = ::getpid();
    if (::write(ready.get(), &self, sizeof self) != sizeof self) ::_exit(1);
    ready.reset();
    static_cast<void>(end.wait(std::chrono::milliseconds(-1)));
    then();
    ::_exit(0);
}

}  // namespace

Result<pid_t> start_guard(pid_t criu, const std::string& note, const std::function<void()>& then) {
    auto ready = engine::ptrace::Pipe::create();
    if (!ready) return std::unexpected(ready.error());
    const pid_t between = ::fork();
    if (between < 0) return system_error(ErrorKind::machine, "cannot start a process that waits for CRIU", "fork");
    if (between == 0) {
        const pid_t child = ::fork();
        if (child != 0) ::_exit(child < 0 ? 1 : 0);
        ready->read.reset();
        guard(criu, note, then, std::move(ready->write));
    }
    ready->write.reset();
    while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_t child = 0;
    ssize_t got = 0;
    while ((got = ::read(ready->read.get(), &child, sizeof child)) < 0 && errno == EINTR) {
    }
    if (got == sizeof child) return child;
    return machine_error("the process that waits for CRIU could not be started", fmt::format("CRIU {}", criu));
}

void dismiss_guard(pid_t guard) { ::kill(guard, SIGTERM); }

}  // namespace cpulevel::checkpoint
