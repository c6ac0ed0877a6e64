#include "engine/ptrace/call_filter.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "engine/ptrace/registers.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint32_t kArchGetCpuid = 0x1011, kArchSetCpuid = 0x1012;

constexpr sock_filter statement(std::uint16_t code, std::uint32_t k) { return {code, 0, 0, k}; }
constexpr sock_filter jump_equal(std::uint64_t number, std::uint8_t yes, std::uint8_t no) {
    return {BPF_JMP | BPF_JEQ | BPF_K, yes, no, static_cast<std::uint32_t>(number)};
}
constexpr sock_filter load(std::size_t offset) {
    return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
// The low half of an argument: all that arch_prctl looks at in its option (an int).
constexpr std::size_t argument(std::size_t index) { return offsetof(seccomp_data, args) + 8 * index; }

bool has_capability(unsigned capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
    return (data[capability / 32].effective & (1U << (capability % 32))) != 0;
}

}  // namespace

bool call_filter_possible() {
    // Without CAP_SYS_ADMIN the filter wants no_new_privs, under which set-user-ID does nothing. A tracer without
    // CAP_SYS_PTRACE has that effect already (execve under ptrace), so nothing is lost then.
    return has_capability(CAP_SYS_ADMIN) || !has_capability(CAP_SYS_PTRACE);
}

int install_call_filter(FilterCookie cookie) {
    constexpr auto trace = statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE | kFilterMessage);
    constexpr auto allow = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const SyscallNumbers& wide = syscall_numbers(false);
    const SyscallNumbers& narrow = syscall_numbers(true);
    std::array program{
        load(offsetof(seccomp_data, arch)),     //  0
        jump_equal(wide.audit_arch, 0, 2),      //  1: else 4
        load(offsetof(seccomp_data, nr)),       //  2
        jump_equal(wide.arch_prctl, 3, 8),      //  3: 7, else allow
        jump_equal(narrow.audit_arch, 0, 7),    //  4: else allow
        load(offsetof(seccomp_data, nr)),       //  5
        jump_equal(narrow.arch_prctl, 0, 5),    //  6: 7, else allow
        load(argument(0)),                      //  7
        jump_equal(kArchGetCpuid, 1, 0),        //  8: 10
        jump_equal(kArchSetCpuid, 0, 2),        //  9: 10, else allow
        load(argument(5)),                      // 10
        jump_equal(cookie, 0, 1),               // 11: ours: allow, else trace
        allow,                                  // 12
        trace,                                  // 13
    };
    sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;  // no store bypass mitigation on our account
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &filter) == 0) return 0;
    if (errno != EACCES) return errno;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &filter) == 0 ? 0 : errno;
}

}  // namespace cpulevel::engine::ptrace
