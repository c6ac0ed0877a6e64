// One system call done by a stopped thread for us, at a system call instruction of the vdso ("gadget"): watched by
// PTRACE_SYSCALL from its entry to its exit, so that no signal is forced and no code is written.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

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
    const Thread::Call call = std::exchange(thread.call, Thread::Call::none);
    thread.phase = Phase::running;
    thread.in_syscall = false;
    if (call == Thread::Call::map) {
        finish_map_call(thread, registers);
    } else {
        thread.saved.forget_syscall();
        thread.saved.set(thread.tid);
    }
    if (thread.phase == Phase::running && call != Thread::Call::restore_ignore) put_signal_state_back(thread, SIGSEGV);
    if (thread.phase == Phase::running) resume(thread.tid, Resume::run);
}

// A loader's mmap is done.
void Supervisor::finish_map_call(Thread& thread, const Registers& registers) {
    Registers back = registers;
    back.jump(thread.saved.instruction() + syscall_instruction(registers.is_32bit()).size());
    back.forget_syscall();
    back.set(thread.tid);
    thread.saved = back;
    if (registers.syscall_number() == syscall_numbers(registers.is_32bit()).mmap) {
        plant_mapping(thread, registers, registers.syscall_result());
    }
}

// A loader's mmap was done in a stub, and asked for executable memory: the thread stands at the HLT behind it.
void Supervisor::pass_map_stop(Thread& thread, Registers& registers) {
    plant_mapping(thread, registers, registers.syscall_result());
    registers.jump(registers.instruction() + 1);
    registers.forget_syscall();
    registers.set(thread.tid);
    put_signal_state_back(thread, SIGSEGV);
    if (thread.phase == Phase::running) resume(thread.tid, Resume::run);
}

// mmap's arguments are still in the registers. If it mapped code, that is changed now.
void Supervisor::plant_mapping(Thread& thread, const Registers& registers, std::int64_t result) {
    const bool is_32bit = registers.is_32bit();
    const bool executable = (registers.syscall_argument(2) & PROT_EXEC) != 0;
    const int fd = static_cast<int>(registers.syscall_argument(4));
    const bool failed = result < 0 && result > -4096;
    if (!executable || fd < 0 || failed) return;
    constexpr std::uint64_t kPageShift = 12;  // mmap2 counts pages
    const std::uint64_t offset = registers.syscall_argument(5) << (is_32bit ? kPageShift : 0);
    const auto start = static_cast<std::uint64_t>(result) & (is_32bit ? 0xffffffffU : ~std::uint64_t{0});
    PlantingCounts counts;
    const auto module = planter_.examine_mapping(thread.tid, start, registers.syscall_argument(1), fd, offset, counts);
    if (module) {
        const Fd memory = open_process_memory(thread.tid);
        if (memory.valid()) counts += planter_.install(thread.tid, memory, *thread.space, *module);
    }
    log_.library(thread.tid, fd, counts);
}

}  // namespace cpulevel::engine::ptrace
