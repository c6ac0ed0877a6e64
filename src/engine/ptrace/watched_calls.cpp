// The calls that the filter stops at (call_filter.h): marks are taken when the kernel has accepted a vector, and CPUID
// faulting, which we use for ourselves, is virtual for the program.
#include <fmt/format.h>
#include <linux/prctl.h>
#include <sys/prctl.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "engine/ptrace/supervisor.h"
#include "util/file.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint64_t kArchGetCpuid = 0x1011;  // arch/x86/include/uapi/asm/prctl.h

// PR_SET_MM_MAP with auxv_size 0 changes other fields only, and marks nothing.
bool brings_a_vector(pid_t tid, const Registers& registers) {
    if (registers.syscall_argument(1) == PR_SET_MM_AUXV) return true;
    std::array<std::byte, sizeof(__u32)> size{};
    const RemoteAddress map{registers.syscall_argument(2)};
    if (read_memory(tid, map + offsetof(prctl_mm_map, auxv_size), size) != size.size()) return false;
    return size != std::array<std::byte, sizeof(__u32)>{};
}

}  // namespace

void Supervisor::on_watched_call(Thread& thread) {
    auto registers = Registers::get(thread.tid);
    if (!registers) {
        resume(thread.tid, Resume::run);
        return;
    }
    const SyscallNumbers& numbers = syscall_numbers(registers->is_32bit());
    if (registers->syscall_number() == numbers.prctl) {
        // PR_SET_MM's options with a vector; the filter lets nothing else through.
        if (brings_a_vector(thread.tid, *registers)) thread.phase = Phase::watched_call;
        resume(thread.tid, thread.phase == Phase::watched_call ? Resume::until_syscall : Resume::run);
        return;
    }
    if (registers->syscall_number() == numbers.arch_prctl && policy_.method == CpuidMethod::faulting) {
        // Whatever the program sets, its CPUID goes on faulting: for us, or for its own handler.
        if (registers->syscall_argument(0) == kArchGetCpuid) {
            registers->skip_syscall(thread.cpuid_faults_for_program ? 0 : 1);
        } else {
            thread.cpuid_faults_for_program = registers->syscall_argument(1) == 0;
            registers->skip_syscall(0);
        }
        registers->set(thread.tid);
    }
    resume(thread.tid, Resume::run);
}

void Supervisor::finish_watched_call(Thread& thread) {
    thread.phase = Phase::running;
    const auto registers = Registers::get(thread.tid);
    if (registers && registers->syscall_result() == 0) {
        // What the kernel stored, not what the program passed: it may have changed that meanwhile.
        const auto blob = read_file(fmt::format("/proc/{}/auxv", thread.tid));
        const auto size = registers->is_32bit() ? inherit::WordSize::bits32 : inherit::WordSize::bits64;
        if (blob) {
            const auto saved = inherit::AuxVector::parse(std::as_bytes(std::span(*blob)), size);
            if (saved) thread.space->marks = inherit::after_prctl(thread.space->marks, registers->abi(), *saved);
        }
    }
    resume(thread.tid, Resume::run);
}

}  // namespace cpulevel::engine::ptrace
