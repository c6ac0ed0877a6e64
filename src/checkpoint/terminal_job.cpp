#include "checkpoint/terminal_job.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/mirror.h"

namespace cpulevel::checkpoint {

void TerminalJob::expect() {
    if (::isatty(STDIN_FILENO) == 0) return;
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::signal(SIGCHLD, SIG_DFL);  // ignored, the kernel would reap the program before we see its status
}

bool TerminalJob::is_one(pid_t process) {
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

int TerminalJob::mirror(pid_t program, pid_t supervisor) const {
    // It may have ended before the signals were blocked, and nobody would tell again.
    ::kill(::getpid(), SIGCHLD);
    return engine::ptrace::mirror_program(program, supervisor);
}

}  // namespace cpulevel::checkpoint
