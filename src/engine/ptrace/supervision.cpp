#include "engine/ptrace/supervision.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/ptrace/answers.h"
#include "engine/ptrace/control.h"
#include "engine/ptrace/proc_stat.h"
#include "util/blocked_signals.h"

namespace cpulevel::engine::ptrace {

namespace {

// What ended, or stopped, of processes that we could not detach from when we let go (a thread that had ended before the
// rest of its process; one that could not be stopped).
void drain() {
    int status = 0;
    for (pid_t tid = 0; (tid = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
        if (!WIFSTOPPED(status)) continue;
        const bool delivers = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP;
        ::ptrace(PTRACE_DETACH, tid, nullptr, std::bit_cast<void*>(delivers ? static_cast<std::uint64_t>(WSTOPSIG(status)) : 0));
    }
}

bool has_tracees() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

std::uint64_t start_time(pid_t process) {
    const auto stat = read_proc_stat(process);
    return stat ? stat->start_time : 0;
}

}  // namespace

void unblock_requests() {
    hear_requests();
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int signal : {kLetGoSignal, kTakeUpSignal, SIGALRM, front_gone_signal()}) ::sigdelset(&blocked, signal);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

Supervision::Supervision(Setup setup, RunLog& log) : setup_(std::move(setup)), log_(log) { make_supervisor(); }

void Supervision::make_supervisor() {
    supervisor_ = std::make_unique<Supervisor>(setup_.preparation.policy, log_, setup_.options);
}

void Supervision::set_state(TreeState state) {
    if (log_.record() == nullptr) return;
    log_.record()->control().state.store(static_cast<std::uint32_t>(state), std::memory_order_relaxed);
}

void Supervision::answer(const std::string& text) {
    if (log_.record() != nullptr) log_.record()->answer(text);
}

// SIGUSR1: the program's stops are not to be followed; SIGUSR2: they are.
void Supervision::tell_front(int signal) const {
    // One that has ended may have left its number to somebody else; the program's parent is nobody else.
    const auto program = read_proc_stat(root_);
    if (setup_.options.front != 0 && program && program->parent == setup_.options.front) ::kill(setup_.options.front, signal);
}

void Supervision::serve() {
    root_ = supervisor_->root();
    if (log_.record() != nullptr) {
        log_.record()->control().root.store(root_, std::memory_order_relaxed);
        log_.record()->control().front.store(setup_.options.front, std::memory_order_relaxed);
    }
    const auto root_gone = [this](int status) {
        root_ = 0;
        if (log_.record() != nullptr) log_.record()->control().root.store(0, std::memory_order_relaxed);
        if (setup_.root_gone) setup_.root_gone(status);
    };
    for (;;) {
        if (supervisor_->serve(root_gone) == Supervisor::Served::ended) return;
        const auto request = take_request();
        if (!request) continue;
        if (request->kind == Request::Kind::take_up) {
            AdoptReport report;
            report.supervisor = ::getpid();
            report.level = setup_.preparation.policy.level_name;
            report.already = true;
            answer(answer_text(report));
            continue;
        }
        if (let_go(*request) && !wait_and_take_up()) return;
    }
}

bool Supervision::let_go(const Request& request) {
    if (request.leave_stopped) tell_front(SIGUSR1);
    const auto done = supervisor_->let_go({request.leave_stopped, std::chrono::seconds(request.patience)});
    if (!done) {
        if (request.leave_stopped) tell_front(SIGUSR2);
        answer(answer_text(done.error()));
        return false;
    }
    released_ = *done;
    left_stopped_ = request.leave_stopped;
    members_.clear();
    for (const pid_t process : released_.processes) members_[process] = start_time(process);
    if (setup_.let_go) setup_.let_go();
    set_state(left_stopped_ ? TreeState::released_stopped : TreeState::released);
    ReleaseReport report;
    report.supervisor = ::getpid();
    report.level = setup_.preparation.policy.level_name;
    report.left_stopped = left_stopped_;
    report.supervisor_waits = (setup_.waits && root_ != 0) || has_tracees();
    report.unlevelled = unlevelled_after(*done, setup_.preparation.policy.method);
    report.done = *done;
    answer(answer_text(report));
    return true;
}

// False: there is nothing left to serve.
bool Supervision::wait_and_take_up() {
    for (;;) {
        const Woken woken = wait();
        if (woken == Woken::ended) return false;
        if (woken == Woken::take_up && asked_->kind == Request::Kind::let_go) {
            ReleaseReport report;
            report.supervisor = ::getpid();
            report.level = setup_.preparation.policy.level_name;
            report.left_stopped = left_stopped_;
            report.already = true;
            report.supervisor_waits = true;
            answer(answer_text(report));
            continue;
        }
        const TreeState before = left_stopped_ ? TreeState::released_stopped : TreeState::released;
        set_state(TreeState::taking_up);
        if (const auto taken = take_up(woken == Woken::restored); !taken) {
            log_.problem(root_, "the tree is not levelled: " + taken.error().message());
            set_state(before);
            answer(answer_text(taken.error()));
            continue;
        }
        return true;
    }
}

Supervision::Woken Supervision::wait() {
    const BlockedSignals awaited({kLetGoSignal, kTakeUpSignal, SIGCHLD, front_gone_signal(), program_gone_signal()});
    const Birth birth;
    Woken woken = Woken::ended;
    for (asked_ = take_request(); !asked_;) {  // one that came just before the signals were blocked
        drain();
        if ((!setup_.waits || root_ == 0) && !has_tracees()) break;
        siginfo_t info{};
        const int signal = ::sigwaitinfo(&awaited.signals(), &info);
        if (signal < 0) {
            if (errno != EINTR || !birth.restored_since()) continue;
            asked_ = Request{Request::Kind::take_up, false, 60};
            woken = Woken::restored;
            break;
        }
        if (signal == kLetGoSignal || signal == kTakeUpSignal) {
            asked_ = Request::of(signal, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
        } else if (signal == program_gone_signal() && (info.si_code == SI_QUEUE || info.si_code == SI_USER)) {
            if (info.si_pid != setup_.options.front || root_ == 0) continue;  // or we have seen that as its tracer
            if (setup_.root_gone) setup_.root_gone(info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
            root_ = 0;
            break;
        } else if (signal == front_gone_signal()) {
            // Whoever killed the front meant the program. That is not our child: it must still be the same process.
            const auto known = members_.find(root_);
            if (known != members_.end() && start_time(root_) == known->second) ::kill(root_, SIGKILL);
            break;
        }
    }
    if (asked_ && woken == Woken::ended) {
        // Restored, and asked before the wait could be interrupted.
        woken = birth.restored_since() && asked_->kind == Request::Kind::take_up ? Woken::restored : Woken::take_up;
    }
    return woken;
}

Result<void> Supervision::take_up(bool restored) {
    auto again = prepare_again(setup_.preparation);
    if (!again) return std::unexpected(again.error());
    setup_.preparation = std::move(*again);
    make_supervisor();
    TakeUpOptions options;
    options.root = root_;
    // A process that has the number of one that we let go and is another one is none of ours; all are new where they were
    // restored, with the numbers that they had.
    for (const auto& [process, since] : members_) {
        if (restored || start_time(process) == since) options.also.push_back(process);
    }
    options.continue_stopped = left_stopped_ && !asked_->leave_stopped;
    options.keep_stopped = released_.stopped_before;
    options.patience = std::chrono::seconds(asked_->patience);
    const auto done = supervisor_->take_up(options);
    if (!done) return std::unexpected(done.error());
    if (left_stopped_) tell_front(SIGUSR2);
    if (setup_.taken_up) setup_.taken_up();
    set_state(TreeState::levelling);
    AdoptReport report;
    report.supervisor = ::getpid();
    report.level = setup_.preparation.policy.level_name;
    report.done = *done;
    report.stays = stays_after(*done);
    answer(answer_text(report));
    return {};
}

}  // namespace cpulevel::engine::ptrace
