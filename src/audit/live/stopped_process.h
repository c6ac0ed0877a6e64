// All threads of a process, stopped for a moment and let go exactly as they were.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace cpulevel::audit::live {

class StoppedProcess {
   public:
    // Stops what can be stopped. Threads that are traced by somebody, or that do not stop in time (uninterruptible
    // sleep, frozen cgroup), run on and are told by the reasons of `threads()`.
    explicit StoppedProcess(pid_t pid, std::chrono::milliseconds patience = std::chrono::milliseconds(500));
    StoppedProcess(const StoppedProcess&) = delete;
    StoppedProcess& operator=(const StoppedProcess&) = delete;
    ~StoppedProcess();

    struct Thread {
        pid_t tid = 0;
        std::string why_not;  // empty: it is stopped
        bool seized = false;
        bool stopped = false;
        int signal = 0;       // was about to be delivered: handed back when it is let go
        bool interrupted = false;  // stopped by our request, not on its own way to a signal
    };
    [[nodiscard]] const std::vector<Thread>& threads() const { return threads_; }

   private:
    void seize_all();
    void wait_for_all(std::chrono::milliseconds patience);
    void let_go(Thread& thread) const;

    pid_t pid_;
    std::vector<Thread> threads_;
};

// Waits until a child or tracee has something to tell (SIGCHLD), or the time is over. SIGCHLD must be blocked.
void wait_for_news(std::chrono::milliseconds most);

// A thread that our interruption made return from a system call with EINTR, although no signal came, does the call again
// (epoll_wait, semop and a few more end at every stop; signal(7), "Interruption of system calls by stop signals").
void repeat_interrupted_call(pid_t tid);

}  // namespace cpulevel::audit::live
