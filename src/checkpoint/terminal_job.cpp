#include "checkpoint/terminal_job.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "engine/ptrace/mirror.h"
#include "engine/ptrace/proc_stat.h"

namespace cpulevel::checkpoint {

namespace {

// All signals are blocked. A process that was put into the namespace from outside has its parent there, and is not waited for.
void stay_for_the_rest() {
    sigset_t all;
    ::sigfillset(&all);
    for (;;) {
        pid_t ended = 0;
        while ((ended = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
        }
        if (ended < 0 && errno == ECHILD) return;
        const int signal = ::sigwaitinfo(&all, nullptr);
        if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT) return;
    }
}

}  // namespace

bool is_first_process() { return ::getpid() == 1; }

void TerminalJob::expect() {
    if (::isatty(STDIN_FILENO) == 0 && !is_first_process()) return;
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::signal(SIGCHLD, SIG_DFL);  // ignored, the kernel would reap the program before we see its status
}

bool TerminalJob::is_at_terminal(pid_t process) {
    struct stat ours{};
    if (::isatty(STDIN_FILENO) == 0 || ::fstat(STDIN_FILENO, &ours) != 0) return false;
    const auto stat = engine::ptrace::read_proc_stat(process);
    if (!stat || stat->parent != ::getpid() || ::getsid(process) != ::getsid(0)) return false;
    for (int number = 0; number <= 2; ++number) {
        struct stat theirs{};
        const std::string path = fmt::format("/proc/{}/fd/{}", process, number);
        if (::stat(path.c_str(), &theirs) == 0 && S_ISCHR(theirs.st_mode) && theirs.st_rdev == ours.st_rdev)
            return true;
    }
    return false;
}

int TerminalJob::mirror(pid_t program, pid_t supervisor, bool at_terminal) const {
    // It may have ended before the signals were blocked, and nobody would tell again.
    ::kill(::getpid(), SIGCHLD);
    const int status = engine::ptrace::mirror_program(program, supervisor, at_terminal);
    if (is_first_process()) stay_for_the_rest();
    return status;
}

}  // namespace cpulevel::checkpoint
