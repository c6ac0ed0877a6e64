#include "util/blocked_signals.h"

#include <gtest/gtest.h>

namespace cpulevel {
namespace {

bool is_blocked(int signal) {
    sigset_t now;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, signal) == 1;
}

TEST(BlockedSignals, AsLongAsItLives) {
    ASSERT_FALSE(is_blocked(SIGUSR1));
    {
        const BlockedSignals blocked({SIGUSR1, SIGUSR2});
        EXPECT_TRUE(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
        EXPECT_FALSE(is_blocked(SIGTERM));
        ::raise(SIGUSR1);
        const timespec now{};
        EXPECT_EQ(::sigtimedwait(&blocked.signals(), nullptr, &now), SIGUSR1);
    }
    EXPECT_FALSE(is_blocked(SIGUSR1) || is_blocked(SIGUSR2));
}

TEST(BlockedSignals, WhatWasBlockedBeforeStaysSo) {
    const BlockedSignals outer({SIGUSR1});
    { const BlockedSignals inner({SIGUSR1, SIGUSR2}); }
    EXPECT_TRUE(is_blocked(SIGUSR1));
    EXPECT_FALSE(is_blocked(SIGUSR2));
    { const BlockedSignals every = BlockedSignals::all(); EXPECT_TRUE(is_blocked(SIGTERM)); }
    EXPECT_FALSE(is_blocked(SIGTERM));
}

}  // namespace
}  // namespace cpulevel
