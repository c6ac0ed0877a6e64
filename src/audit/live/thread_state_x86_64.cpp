#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "audit/live/stopped_process.h"
#include "audit/live/thread_state.h"
#include "audit/xstate.h"

namespace cpulevel::audit::live {
namespace {

constexpr std::uint64_t kCode32 = 0x23;          // user code segment of 32-bit programs
constexpr std::size_t kMostState = 64U << 10U;   // bytes; the kernel's own is 11 KiB at the most so far

}  // namespace

void read_registers(Thread& thread, const profile::XsaveLayout* layout) {
    user_regs_struct registers{};
    iovec place{&registers, sizeof registers};
    if (::ptrace(PTRACE_GETREGSET, thread.tid, NT_PRSTATUS, &place) != 0) {
        thread.unreadable = "its registers cannot be read";
        return;
    }
    // A 32-bit program's set is smaller: 17 words of 4 bytes (struct user_regs_struct of i386), the stack pointer at 15.
    constexpr std::size_t kSet32 = 68, kStackPointer32 = 15;
    if (place.iov_len == kSet32) {
        thread.is_32bit = true;
        thread.stack_pointer = reinterpret_cast<const std::uint32_t*>(&registers)[kStackPointer32];
    } else {
        thread.is_32bit = registers.cs == kCode32;
        thread.stack_pointer = registers.rsp;
    }
    std::uint64_t mask = 0;
    if (::ptrace(PTRACE_GETSIGMASK, thread.tid, sizeof mask, &mask) == 0) thread.blocked_signals = mask;
    std::vector<std::byte> state(kMostState);
    iovec area{state.data(), state.size()};
    if (::ptrace(PTRACE_GETREGSET, thread.tid, NT_X86_XSTATE, &area) == 0) {
        thread.vector_state = vector_state_of(std::span(state).first(std::min(area.iov_len, state.size())),
                                              layout != nullptr ? &layout->components : nullptr);
    } else {
        thread.vector_state = VectorState{.header = kLegacyComponents, .in_use = kLegacyComponents, .pkru = {}};  // no XSAVE here
    }
}

void repeat_interrupted_call(pid_t tid) {
    user_regs_struct registers{};
    iovec place{&registers, sizeof registers};
    if (::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &place) != 0 || place.iov_len != sizeof registers) return;
    if (static_cast<std::int64_t>(registers.rax) != -EINTR) return;
    constexpr std::array<long, 8> kEndAtStops{SYS_epoll_wait,      SYS_epoll_pwait,   SYS_semop,       SYS_semtimedop,
                                     SYS_rt_sigtimedwait, SYS_io_getevents,  441 /* epoll_pwait2 */, 333 /* io_pgetevents */};
    if (std::ranges::find(kEndAtStops, static_cast<long>(registers.orig_rax)) == kEndAtStops.end()) return;
    constexpr std::uint64_t kSyscallLength = 2;
    registers.rax = registers.orig_rax;
    registers.rip -= kSyscallLength;
    ::ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &place);
}

}  // namespace cpulevel::audit::live
