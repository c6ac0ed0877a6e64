// A SIGSEGV is looked at: if it is a CPUID instruction that faulted (or a trap that we planted), it is answered and
// the program never hears of it.
#include <sys/mman.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "cpuid/instruction.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::size_t kLongestInstruction = 15;
constexpr std::byte kHalt{0xf4}, kSecondOfCpuid{0xa2}, kSecondOfSyscall{0x05}, kSecondOfInt80{0x80};
constexpr unsigned kPlantedLength = 2;  // HLT and the second byte of the instruction it stands for

const PlantedTrap* find_trap(const AddressSpace& space, std::uint64_t address) {
    const auto at = std::ranges::lower_bound(space.traps, address, {}, &PlantedTrap::address);
    return at != space.traps.end() && at->address == address ? &*at : nullptr;
}

}  // namespace

// A mapping that brings no code goes on in the detour, without another stop.
bool Supervisor::pass_map_call(Thread& thread, Registers& registers) {
    const PlantedTrap* const trap = find_trap(*thread.space, value(registers.instruction()));
    if (trap == nullptr || trap->detour == 0) return false;
    const bool maps = registers.requested_syscall() == syscall_numbers(registers.is_32bit()).mmap;
    const bool brings_code = (registers.syscall_argument(2) & PROT_EXEC) != 0 && static_cast<int>(registers.syscall_argument(4)) >= 0;
    if (maps && brings_code) return false;
    registers.jump(RemoteAddress{trap->detour});
    registers.forget_syscall();
    registers.set(thread.tid);
    put_signal_state_back(thread, SIGSEGV);
    if (thread.phase == Phase::running) resume(thread.tid, Resume::run);
    return true;
}

bool Supervisor::on_segmentation_fault(Thread& thread) {
    siginfo_t info{};
    // #GP in user mode: SI_KERNEL, no address (arch/x86/kernel/traps.c). A fault on memory has SEGV_MAPERR and the
    // like; one sent by kill() has the sender's code.
    if (::ptrace(PTRACE_GETSIGINFO, thread.tid, nullptr, &info) != 0 || info.si_code != SI_KERNEL ||
        info.si_addr != nullptr) {
        return false;
    }
    auto registers = Registers::get(thread.tid);
    if (!registers) return false;
    const RemoteAddress at = registers->instruction();
    const bool planted = thread.space && (thread.space->unknown_traps || find_trap(*thread.space, value(at)) != nullptr);
    if (planted) {
        std::array<std::byte, kPlantedLength> bytes{};
        const bool still_there = read_memory(thread.tid, at, bytes) == bytes.size() && bytes[0] == kHalt;
        // The second byte is the instruction's own.
        if (still_there && bytes[1] == kSecondOfCpuid) {
            answer_cpuid(thread, *registers, kPlantedLength);
            return true;
        }
        if (still_there && (bytes[1] == kSecondOfSyscall || bytes[1] == kSecondOfInt80)) {
            if (pass_map_call(thread, *registers) || start_map_call(thread, *registers)) return true;
        }
    }
    if (policy_.method != CpuidMethod::faulting || thread.cpuid_faults_for_program) return false;
    std::array<std::byte, kLongestInstruction> bytes{};
    const std::size_t got = read_memory(thread.tid, at, bytes);
    const auto mode = registers->is_32bit() ? cpuid::CodeMode::bits32 : cpuid::CodeMode::bits64;
    const auto instruction = cpuid::recognise_cpuid(std::span(bytes).first(got), mode);
    if (!instruction) return false;
    answer_cpuid(thread, *registers, instruction->length);
    return true;
}

void Supervisor::answer_cpuid(Thread& thread, Registers& registers, unsigned length) {
    const std::uint32_t leaf = registers.cpuid_leaf();
    const auto real = [&](std::uint32_t live_leaf, std::uint32_t live_subleaf) {
        const auto stat = read_proc_stat(thread.tid);
        return live_cpuid_.ask(stat ? stat->processor : -1, live_leaf, live_subleaf);
    };
    const auto answer = policy_.cpuid.answer(leaf, registers.cpuid_subleaf(), real);
    log_.cpuid_trap(thread.tid, value(registers.instruction()), leaf);
    registers.answer_cpuid(answer, length);
    registers.forget_syscall();
    registers.set(thread.tid);
    put_signal_state_back(thread, SIGSEGV);
    if (thread.phase == Phase::running) resume(thread.tid, Resume::run);
}

}  // namespace cpulevel::engine::ptrace
