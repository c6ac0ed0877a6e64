#include "checkpoint/uninterrupted.h"

#include <ctime>
#include <initializer_list>

namespace cpulevel::checkpoint {

Uninterrupted::Uninterrupted() {
    ::sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&signals_, signal);
    ::sigprocmask(SIG_BLOCK, &signals_, &before_);
}

Uninterrupted::~Uninterrupted() {
    constexpr timespec kNow{};
    while (::sigtimedwait(&signals_, nullptr, &kNow) > 0) {
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace cpulevel::checkpoint
