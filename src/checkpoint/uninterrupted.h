// From the first process that is stopped to the last that goes on again, a user's Ctrl-C, a shutdown's SIGTERM or a terminal that is
// closed must not end us half-way: such a signal waits, and has come too late when everything is done. CRIU inherits that: killed
// while it works inside of processes, it would leave its own code in them.
#pragma once

#include <csignal>
#include <ctime>

#include "util/blocked_signals.h"

namespace cpulevel::checkpoint {

class Uninterrupted {
   public:
    Uninterrupted() = default;
    Uninterrupted(const Uninterrupted&) = delete;
    Uninterrupted& operator=(const Uninterrupted&) = delete;
    ~Uninterrupted() {
        constexpr timespec kNow{};
        while (::sigtimedwait(&signals_.signals(), nullptr, &kNow) > 0) {
        }
    }

   private:
    BlockedSignals signals_ = BlockedSignals({SIGINT, SIGTERM, SIGHUP, SIGQUIT});
};

}  // namespace cpulevel::checkpoint
