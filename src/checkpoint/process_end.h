// The end of a process that is not our child, as an event.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "util/fd.h"

namespace cpulevel::checkpoint {

class ProcessEnd {
   public:
    explicit ProcessEnd(pid_t process);
    [[nodiscard]] bool valid() const { return process_.valid(); }  // false: there is no such process
    // True: it has ended. A negative time waits for ever.
    [[nodiscard]] bool wait(std::chrono::milliseconds time) const;

   private:
    Fd process_;
};

}  // namespace cpulevel::checkpoint
