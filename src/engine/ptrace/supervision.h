// The life of a supervisor: it serves its tree, lets it go when asked, waits, and takes it up again when asked, or when it
// finds itself restored from a checkpoint.
//
// While it waits it holds nothing that a checkpoint could not carry (no tracee, no descriptor of /proc, no pidfd, no
// socket), for it may be part of the tree that is checkpointed: `cpulevel run` as the entry point of a container.
//
// How it notices that it was restored: who is checkpointed is interrupted for that, so the wait for a signal ends with EINTR,
// in the process that goes on and in the restored one. The restored one has another start time, or another machine's
// boot id. Nothing is polled.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "engine/ptrace/control.h"
#include "engine/ptrace/run.h"
#include "engine/ptrace/supervisor.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

class Supervision {
   public:
    struct Setup {
        Preparation preparation;
        Supervisor::Options options;
        bool waits = true;  // after it has let go; false: it ends then
        std::function<void(int status)> root_gone;
        std::function<void()> let_go, taken_up;  // after that; may be empty
    };
    Supervision(Setup setup, RunLog& log);

    [[nodiscard]] Supervisor& supervisor() { return *supervisor_; }
    // With a supervisor that has its tree: returns when nothing is left to do.
    void serve();

   private:
    enum class Woken : std::uint8_t { take_up, restored, ended };
    [[nodiscard]] bool let_go(const Request& request);
    [[nodiscard]] bool wait_and_take_up();
    [[nodiscard]] Woken wait();
    [[nodiscard]] Result<void> take_up(bool restored);
    void set_state(TreeState state);
    void answer(const std::string& text);
    void tell_front(int signal) const;
    void make_supervisor();

    Setup setup_;
    RunLog& log_;
    std::unique_ptr<Supervisor> supervisor_;
    pid_t root_ = 0;
    std::optional<Request> asked_;            // what woke us
    LetGo released_;                          // what was let go
    bool left_stopped_ = false;
    std::map<pid_t, std::uint64_t> members_;  // what was let go, with start times
};

// Before serve(): the signals of control.h arrive, all others are blocked.
void unblock_requests();

}  // namespace cpulevel::engine::ptrace
