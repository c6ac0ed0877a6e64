#include "checkpoint/process_end.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace cpulevel::checkpoint {

ProcessEnd::ProcessEnd(pid_t process) : process_(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))) {}

bool ProcessEnd::wait(std::chrono::milliseconds time) const {
    pollfd ended{process_.get(), POLLIN, 0};
    int ready = 0;
    while ((ready = ::poll(&ended, 1, time.count() < 0 ? -1 : static_cast<int>(time.count()))) < 0 && errno == EINTR) {
    }
    return ready > 0;
}

}  // namespace cpulevel::checkpoint
