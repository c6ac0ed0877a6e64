// Signals that wait, in this thread, as long as this lives: what came meanwhile is taken by sigwaitinfo(2), or arrives at the end.
#pragma once

#include <csignal>
#include <initializer_list>

namespace cpulevel {

class BlockedSignals {
   public:
    explicit BlockedSignals(std::initializer_list<int> signals) {
        ::sigemptyset(&signals_);
        for (const int signal : signals) ::sigaddset(&signals_, signal);
        ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;
    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    [[nodiscard]] const sigset_t& signals() const { return signals_; }
    [[nodiscard]] static BlockedSignals all() { return BlockedSignals(); }

   private:
    BlockedSignals() {
        ::sigfillset(&signals_);
        ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    }
    sigset_t signals_{}, before_{};
};

}  // namespace cpulevel
