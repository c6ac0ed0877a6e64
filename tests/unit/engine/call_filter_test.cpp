// The call filter stops at the calls that it names and at no other; with nobody attached those give ENOSYS.
#include "engine/ptrace/call_filter.h"

#include <gtest/gtest.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "engine/probe/child.h"

namespace cpulevel::engine::ptrace {
namespace {

#if defined(__x86_64__)

constexpr FilterCookie kCookie = 0x12345678;
constexpr long kArchGetCpuid = 0x1011, kArchSetCpuid = 0x1012, kArchGetFs = 0x1003;

int error_of(long result) { return result < 0 ? errno : 0; }

struct Seen {
    int install = -1, get = 0, set = 0, ours = 0, other_option = 0, set_mm = 0;
};

TEST(CallFilter, StopsAtCpuidFaultingOnly) {
    const auto answer = probe::ask_child<Seen>([](Seen& seen) {
        unsigned long place = 0;
        seen.install = install_call_filter(kCookie);
        seen.get = error_of(::syscall(SYS_arch_prctl, kArchGetCpuid, 0, 0, 0, 0, 0));
        seen.set = error_of(::syscall(SYS_arch_prctl, kArchSetCpuid, 1, 0, 0, 0, 0));
        seen.ours = error_of(::syscall(SYS_arch_prctl, kArchGetCpuid, 0, 0, 0, 0, kCookie));
        seen.other_option = error_of(::syscall(SYS_arch_prctl, kArchGetFs, &place, 0, 0, 0, 0));
        seen.set_mm = error_of(::prctl(PR_SET_MM, PR_SET_MM_MAP, 0, 0, 0));
    });
    ASSERT_TRUE(answer.value) << answer.end.describe();
    EXPECT_EQ(answer.value->install, 0);
    EXPECT_EQ(answer.value->get, ENOSYS);
    EXPECT_EQ(answer.value->set, ENOSYS);
    EXPECT_NE(answer.value->ours, ENOSYS) << "the cookie marks the supervisor's own call";
    EXPECT_EQ(answer.value->other_option, 0);
    EXPECT_EQ(answer.value->set_mm, EINVAL) << "checkpointers' calls are not ours";
}

#endif

}  // namespace
}  // namespace cpulevel::engine::ptrace
