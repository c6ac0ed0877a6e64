// One system call done by a stopped thread for us, at a system call instruction of the vdso ("gadget"): watched by
// PTRACE_SYSCALL from its entry to its exit, so that no signal is forced and no code is written.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::size_t kVdsoSize = 8192;
constexpr std::uint64_t kIgnore = 1;        // SIG_IGN as the kernel has it

// struct sigaction as rt_sigaction takes it on x86 and arm (<asm/signal.h>); 32-bit programs' has 32-bit members.
struct KernelSigaction64 {
    std::uint64_t handler, flags, restorer, mask;
};
struct KernelSigaction32 {
    std::uint32_t handler, flags, restorer, mask[2];
};

}  // namespace

RemoteAddress Supervisor::find_gadget(pid_t pid, std::uint64_t vdso, bool is_32bit) {
    if (vdso == 0) return {};
    std::uint64_t& offset = gadget_offset_[is_32bit ? 1 : 0];
    if (offset == 0) {
        std::array<std::byte, kVdsoSize> bytes;
        const std::size_t got = read_memory(pid, RemoteAddress{vdso}, bytes);
        const auto wanted = syscall_instruction(is_32bit);
        const auto image = std::span(bytes).first(got);
        const auto found = std::ranges::search(image, wanted);
        if (found.empty()) return {};
        offset = static_cast<std::uint64_t>(found.begin() - image.begin());
    }
    return RemoteAddress{vdso + offset};
}

bool Supervisor::start_remote_call(Thread& thread, const Registers& registers, Thread::Call call) {
    const RemoteAddress gadget = thread.space->syscall_gadget;
    // The program may have unmapped or moved its vdso.
    const auto wanted = syscall_instruction(registers.is_32bit());
    std::array<std::byte, 4> buffer{};
    const auto bytes = std::span(buffer).first(wanted.size());
    if (value(gadget) == 0 || read_memory(thread.tid, gadget, bytes) != bytes.size() ||
        !std::ranges::equal(bytes, wanted)) {
        return false;
    }
    Registers there = registers;
    there.jump(gadget);
    if (!there.set(thread.tid)) return false;
    thread.call = call;
    thread.phase = Phase::remote_call;
    thread.in_syscall = false;
    resume(thread.tid, Resume::until_syscall);
    return true;
}

bool Supervisor::start_map_call(Thread& thread, Registers& registers) {
    thread.saved = registers;
    const std::uint64_t number = registers.requested_syscall();
    registers.prepare_syscall(number, {});
    return start_remote_call(thread, registers, Thread::Call::map);
}

bool Supervisor::start_restore_ignore(Thread& thread, int signal) {
    auto registers = Registers::get(thread.tid);
    if (!registers) return false;
    thread.saved = *registers;
    thread.restore_signal = signal;
    constexpr std::uint64_t kBelow = 512;
    const RemoteAddress place{(value(registers->stack()) - kBelow) & ~std::uint64_t{15}};
    const KernelSigaction64 action64{kIgnore, 0, 0, 0};
    const KernelSigaction32 action32{static_cast<std::uint32_t>(kIgnore), 0, 0, {0, 0}};
    const bool written = registers->is_32bit() ? write_memory(thread.tid, place, std::as_bytes(std::span(&action32, 1)))
                                               : write_memory(thread.tid, place, std::as_bytes(std::span(&action64, 1)));
    if (!written) return false;
    const std::array<std::uint64_t, 4> arguments{static_cast<std::uint64_t>(signal), value(place), 0, 8};
    registers->prepare_syscall(syscall_numbers(registers->is_32bit()).rt_sigaction, arguments);
    return start_remote_call(thread, *registers, Thread::Call::restore_ignore);
}

void Supervisor::on_syscall_stop(Thread& thread) {
    if (thread.phase == Phase::watched_call) {
        finish_watched_call(thread);
        return;
    }
    const auto registers = Registers::get(thread.tid);
    if (thread.phase != Phase::remote_call || !registers) {
        resume(thread.tid, Resume::run);
        return;
    }
    // A signal handler that runs before the call does system calls of its own: only ours is at the gadget.
    const std::size_t length = syscall_instruction(registers->is_32bit()).size();
    const bool ours = registers->instruction() == thread.space->syscall_gadget + length;
    if (!ours) {
        resume(thread.tid, Resume::until_syscall);
        return;
    }
    if (!thread.in_syscall) {
        thread.in_syscall = true;
        resume(thread.tid, Resume::until_syscall);
        return;
    }
    finish_remote_call(thread, *registers);
}

void Supervisor::finish_remote_call(Thread& thread, const Registers& registers) {
    const pid_t tid = thread.tid;
    const Thread::Call call = thread.call;
    thread.phase = Phase::running;
    thread.in_syscall = false;
    thread.call = Thread::Call::none;
    if (call == Thread::Call::restore_ignore) {
        Registers back = thread.saved;
        back.forget_syscall();
        back.set(tid);
    } else {
        const SyscallNumbers& numbers = syscall_numbers(registers.is_32bit());
        Registers back = registers;
        back.jump(thread.saved.instruction() + syscall_instruction(registers.is_32bit()).size());
        back.forget_syscall();
        back.set(tid);
        const std::uint64_t number = registers.syscall_number();
        const bool executable = (registers.syscall_argument(2) & PROT_EXEC) != 0;
        const std::int64_t result = registers.syscall_result();
        constexpr std::uint64_t kPageShift = 12;  // mmap2 counts pages
        const std::uint64_t offset = registers.is_32bit() ? registers.syscall_argument(5) << kPageShift
                                                          : registers.syscall_argument(5);
        const int fd = static_cast<int>(registers.syscall_argument(4));
        const bool failed = result < 0 && result > -4096;
        if (number == numbers.mmap && executable && fd >= 0 && !failed) {
            const std::uint64_t start = registers.is_32bit()
                                            ? static_cast<std::uint32_t>(static_cast<std::uint64_t>(result))
                                            : static_cast<std::uint64_t>(result);
            const std::uint64_t length = registers.syscall_argument(1);
            const auto counts = planter_.plant_mapping(tid, *thread.space, start, length, fd, offset);
            log_.counters().cpuid_sites.fetch_add(counts.planted, std::memory_order_relaxed);
        }
    }
    if (call == Thread::Call::map) put_signal_state_back(thread, SIGSEGV);
    if (thread.phase == Phase::running) resume(tid, Resume::run);
}

}  // namespace cpulevel::engine::ptrace
