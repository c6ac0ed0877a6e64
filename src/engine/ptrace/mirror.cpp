// A shell stops and continues its job by signals to the whole process group: to us and to the program. A person or a
// service manager may know only us, and then we pass on what we get. So a SIGCONT is the program's if the program is
// still stopped, and only then: one that was continued with us may have been stopped again meanwhile (fg and at once
// Ctrl-Z), and a second SIGCONT would undo that, with a shell waiting for a stop that never comes.
//
// /proc cannot tell. A tracee is in tracing stop ("t") while it is stopped and while it waits for its supervisor to say
// that it goes on. The kernel's job control knows, and tells the parent (wait(2), WUNTRACED and WCONTINUED): the flag
// that says "continued" is set by the sender of SIGCONT itself, before anybody sees us continued.
#include "engine/ptrace/mirror.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "engine/ptrace/control.h"
#include "engine/registry.h"

namespace cpulevel::engine::ptrace {

namespace {

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

class Mirror {
   public:
    Mirror(pid_t program, pid_t supervisor, bool at_our_terminal)
        : program_(program), supervisor_(supervisor), at_our_terminal_(at_our_terminal) {}

    int serve() {
        sigset_t all;
        ::sigfillset(&all);
        for (;;) {
            siginfo_t info{};
            if (::sigwaitinfo(&all, &info) < 0) continue;
            // SIGCONT too: the SIGCHLD that tells of the program may still be on its way.
            const News news = info.si_signo == SIGCHLD || info.si_signo == SIGCONT ? hear() : News{};
            if (news.ended) return *news.ended;
            if (info.si_signo != SIGCHLD) on_signal(info, news);
        }
    }

   private:
    struct News {
        bool stopped_or_continued = false;
        std::optional<int> ended;
    };

    // One SIGCHLD may stand for several; as PID 1 we are also the parent of every orphan.
    News hear() {
        News news;
        int status = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0;) {
            if (pid != program_) continue;
            stopped_ = WIFSTOPPED(status);
            if (!stopped_ && !WIFCONTINUED(status)) {
                // A supervisor that has let the program go hears of its end from us alone.
                ::sigqueue(supervisor_, program_gone_signal(), sigval{.sival_int = status});
                news.ended = status;
                return news;
            }
            news.stopped_or_continued = true;
            if (stopped_ && follows_stops_) stop_like(WSTOPSIG(status));
        }
        return news;
    }

    void on_signal(const siginfo_t& info, const News& news) {
        // One that the terminal's driver sends goes to the whole foreground group and has reached the program without us.
        if (info.si_code == SI_KERNEL && at_our_terminal_) return;
        const bool sent = info.si_code <= 0 && info.si_pid != 0;
        // Another one may have taken the tree up since.
        if (sent && info.si_pid != supervisor_ && tracer_of(program_) == info.si_pid) supervisor_ = info.si_pid;
        if (sent && info.si_pid == supervisor_) {
            if (info.si_signo == SIGUSR1) follows_stops_ = false;
            if (info.si_signo == SIGUSR2) follows_stops_ = true;
            return;  // its SIGCONT is for us: the program was continued or has ended
        }
        if (info.si_signo == SIGCONT && (!stopped_ || news.stopped_or_continued)) return;
        if (info.si_code == SI_QUEUE) {
            ::sigqueue(program_, info.si_signo, info.si_value);
        } else {
            ::kill(program_, info.si_signo);
        }
    }

    pid_t program_, supervisor_;
    bool at_our_terminal_;
    bool stopped_ = false;       // the program, by job control
    bool follows_stops_ = true;  // not while the supervisor leaves the tree stopped (let_go.h): our user did not stop it
};

}  // namespace

int mirror_program(pid_t program, pid_t supervisor, bool at_our_terminal) {
    return Mirror(program, supervisor, at_our_terminal).serve();
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
