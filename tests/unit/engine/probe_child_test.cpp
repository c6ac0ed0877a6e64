// What a probe's child does must not reach the caller.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "engine/probe/child.h"

namespace cpulevel::engine::probe {
namespace {

using std::chrono::milliseconds;

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD; }

TEST(ProbeChild, AnswersWithAValue) {
    const auto answer = ask_child<int>([](int& value) { value = 17; });
    ASSERT_TRUE(answer.value);
    EXPECT_EQ(*answer.value, 17);
    EXPECT_FALSE(has_children());
}

TEST(ProbeChild, ADeadChildGivesNoAnswerAndItsSignal) {
    const auto answer = ask_child<int>([](int&) { ::kill(::getpid(), SIGSYS); });
    EXPECT_FALSE(answer.value);
    EXPECT_EQ(answer.end.describe(), "the probe was killed by SIGSYS");
    EXPECT_FALSE(has_children());
}

TEST(ProbeChild, AChildThatHangsIsKilledAtTheLimitWithWhatItStarted) {
    const auto before = std::chrono::steady_clock::now();
    const RawAnswer answer = ask_child_raw(
        [](int fd) {
            const pid_t self = ::getpid();
            write_answer(fd, &self, sizeof self);
            for (;;) ::pause();
        },
        milliseconds{100});
    EXPECT_TRUE(answer.end.timed_out);
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{4});
    pid_t child = 0;
    ASSERT_EQ(answer.bytes.size(), sizeof child);
    std::memcpy(&child, answer.bytes.data(), sizeof child);
    EXPECT_EQ(::kill(child, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST(ProbeChild, TheAnswerArrivesAlsoWhereSigchldIsIgnored) {
    struct sigaction old{};
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    ASSERT_EQ(::sigaction(SIGCHLD, &ignore, &old), 0);
    const auto answer = ask_child<int>([](int& value) { value = 5; });
    ::sigaction(SIGCHLD, &old, nullptr);
    ASSERT_TRUE(answer.value);
    EXPECT_EQ(*answer.value, 5);
    EXPECT_FALSE(answer.end.status);
}

TEST(ProbeChild, SeesDefaultSignalsWhateverTheCallerHas) {
    struct Seen {
        bool ignored = true;
        bool blocked = true;
    };
    struct sigaction old{};
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGUSR1, &ignore, &old);
    sigset_t block;
    sigset_t old_mask;
    ::sigemptyset(&block);
    ::sigaddset(&block, SIGSEGV);
    ::sigprocmask(SIG_BLOCK, &block, &old_mask);
    const auto answer = ask_child<Seen>([](Seen& seen) {
        struct sigaction now{};
        ::sigaction(SIGUSR1, nullptr, &now);
        seen.ignored = now.sa_handler != SIG_DFL;
        sigset_t mask;
        ::sigprocmask(SIG_SETMASK, nullptr, &mask);
        seen.blocked = ::sigismember(&mask, SIGSEGV) != 0;
    });
    sigset_t after;
    ::sigprocmask(SIG_SETMASK, &old_mask, &after);
    ::sigaction(SIGUSR1, &old, nullptr);
    ASSERT_TRUE(answer.value);
    EXPECT_FALSE(answer.value->ignored);
    EXPECT_FALSE(answer.value->blocked);
    EXPECT_EQ(::sigismember(&after, SIGSEGV), 1) << "the caller's mask was changed";
}

TEST(ProbeChild, LeavesNoDescriptorBehind) {
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 10; ++i) (void)ask_child<int>([](int& value) { value = 1; });
    EXPECT_EQ(open_descriptors(), before);
}

TEST(ProbeChild, DropsWhatIsTooMuch) {
    const RawAnswer answer = ask_child_raw([](int fd) {
        std::array<char, 4096> block{};
        for (int i = 0; i < 64; ++i) write_answer(fd, block.data(), block.size());
    });
    EXPECT_LE(answer.bytes.size(), kMaximumAnswer + 4096);
    EXPECT_FALSE(answer.end.timed_out);
}

}  // namespace
}  // namespace cpulevel::engine::probe
