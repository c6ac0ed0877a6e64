#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <array>
#include <cerrno>

#include "audit/live/stopped_process.h"
#include "audit/live/thread_state.h"

namespace cpulevel::audit::live {
namespace {

// <linux/elf.h>; an older <elf.h> lacks some.
constexpr int kArmSve = 0x405, kArmPacaKeys = 0x407, kArmPacEnabledKeys = 0x40a;

struct SveHeader {  // struct user_sve_header, <asm/ptrace.h>
    std::uint32_t size, max_size;
    std::uint16_t vector_length, max_vector_length, flags, reserved;
};
constexpr std::uint16_t kSveRegisters = 1;  // SVE_PT_REGS_SVE: in the SVE format, so it is in use

template <class T>
bool read_set(pid_t tid, int set, T& into) {
    iovec place{&into, sizeof into};
    return ::ptrace(PTRACE_GETREGSET, tid, set, &place) == 0 && place.iov_len == sizeof into;
}

}  // namespace

void read_registers(Thread& thread, const profile::XsaveLayout*) {
    user_regs_struct registers{};
    iovec place{&registers, sizeof registers};
    if (::ptrace(PTRACE_GETREGSET, thread.tid, NT_PRSTATUS, &place) != 0 || place.iov_len != sizeof registers) {
        thread.unreadable = "its registers cannot be read, or it is a 32-bit program";
        return;
    }
    thread.stack_pointer = registers.sp;
    std::uint64_t mask = 0;
    if (::ptrace(PTRACE_GETSIGMASK, thread.tid, sizeof mask, &mask) == 0) thread.blocked_signals = mask;
    thread.vector_state = VectorState{};
    SveHeader sve{};
    iovec header{&sve, sizeof sve};
    if (::ptrace(PTRACE_GETREGSET, thread.tid, kArmSve, &header) == 0 && (sve.flags & kSveRegisters) != 0) {
        thread.sve_vector_length = sve.vector_length;
    }
    // Keys are always random numbers; whether code with instructions that sign runs is told by the enabled keys.
    std::uint64_t enabled = 0;
    std::array<std::uint64_t, 8> keys{};
    if (read_set(thread.tid, kArmPacEnabledKeys, enabled)) {
        thread.pointer_keys = enabled != 0;
    } else if (read_set(thread.tid, kArmPacaKeys, keys)) {
        thread.pointer_keys = true;
    }
}

void repeat_interrupted_call(pid_t tid) {
    user_regs_struct registers{};
    iovec place{&registers, sizeof registers};
    if (::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &place) != 0 || place.iov_len != sizeof registers) return;
    if (static_cast<std::int64_t>(registers.regs[0]) != -EINTR) return;
    // The first argument is gone from x0, where the result is: only calls that were seen to end can be told, none repeated.
}

}  // namespace cpulevel::audit::live
