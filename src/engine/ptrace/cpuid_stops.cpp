// A SIGSEGV is looked at: if it is a CPUID instruction that faulted (or a trap that we planted), it is answered and
// the program never hears of it.
#include <sys/ptrace.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <vector>

#include "cpuid/instruction.h"
#include "cpuid/stub_area.h"
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

// The HLT at `at` is that of a map call's stub: what stands before it tells.
bool ends_a_map_call(pid_t tid, RemoteAddress at) {
    std::vector<std::byte> bytes(cpuid::map_call_stub_length());
    const RemoteAddress start{value(at) + 1 - bytes.size()};
    return read_memory(tid, start, bytes) == bytes.size() && cpuid::is_map_call_stub(bytes);
}

}  // namespace

// A trap counts only while it is still there: the program may have mapped something else.
bool Supervisor::on_planted_trap(Thread& thread, Registers& registers) {
    const RemoteAddress at = registers.instruction();
    const PlantedTrap* const trap = find_trap(*thread.space, value(at));
    if (trap == nullptr && !thread.space->unknown_traps) return false;
    std::array<std::byte, kPlantedLength> bytes{};
    if (read_memory(thread.tid, at, bytes) != bytes.size() || bytes[0] != kHalt) return false;
    if (trap != nullptr && trap->kind == PlantedTrap::Kind::map_stop) {
        pass_map_stop(thread, registers);
        return true;
    }
    // The second byte is the instruction's own.
    if (bytes[1] == kSecondOfCpuid) {
        answer_cpuid(thread, registers, kPlantedLength);
        return true;
    }
    if (bytes[1] == kSecondOfSyscall || bytes[1] == kSecondOfInt80) return start_map_call(thread, registers);
    if (trap != nullptr || !ends_a_map_call(thread.tid, at)) return false;
    pass_map_stop(thread, registers);
    return true;
}

// The program has unmapped our area, or put something else there that cannot be executed: it wins. The site becomes what it
// was, or a trap, and the thread goes back to it: of a stub it has executed nothing yet.
bool Supervisor::on_lost_stub(Thread& thread, std::uint64_t fault) {
    if (!thread.space) return false;
    const auto lost = std::ranges::find(thread.space->jumps, fault, &ReplacedSite::stub);
    if (lost == thread.space->jumps.end()) return false;
    auto registers = Registers::get(thread.tid);
    if (!registers || value(registers->instruction()) != fault) return false;
    const Fd memory = open_process_memory(thread.tid);
    if (!write_text(memory, RemoteAddress{lost->address}, lost->original)) return false;
    std::array<std::byte, kPlantedLength> bytes{};
    const RemoteAddress at{lost->instruction};
    const bool is_cpuid = read_memory(thread.tid, at, bytes) == bytes.size() && bytes[1] == kSecondOfCpuid;
    if (is_cpuid && policy_.method == CpuidMethod::planted && write_text(memory, at, std::span(&kHalt, 1))) {
        thread.space->traps.push_back({lost->instruction, PlantedTrap::Kind::cpuid});
        std::ranges::sort(thread.space->traps);
    }
    registers->jump(RemoteAddress{lost->address});
    registers->forget_syscall();
    thread.space->jumps.erase(lost);
    registers->set(thread.tid);
    put_signal_state_back(thread, SIGSEGV);
    if (thread.phase == Phase::running) resume(thread.tid, Resume::run);
    return true;
}

bool Supervisor::on_segmentation_fault(Thread& thread) {
    siginfo_t info{};
    // #GP in user mode: SI_KERNEL, no address (arch/x86/kernel/traps.c). A fault on memory has SEGV_MAPERR and the
    // like; one sent by kill() has the sender's code.
    if (::ptrace(PTRACE_GETSIGINFO, thread.tid, nullptr, &info) != 0) return false;
    if (info.si_code == SEGV_MAPERR || info.si_code == SEGV_ACCERR) {
        return on_lost_stub(thread, std::bit_cast<std::uint64_t>(info.si_addr));
    }
    if (info.si_code != SI_KERNEL || info.si_addr != nullptr) return false;
    auto registers = Registers::get(thread.tid);
    if (!registers) return false;
    if (thread.space && on_planted_trap(thread, *registers)) return true;
    if (policy_.method != CpuidMethod::faulting || thread.cpuid_faults_for_program) return false;
    std::array<std::byte, kLongestInstruction> bytes{};
    const std::size_t got = read_memory(thread.tid, registers->instruction(), bytes);
    const auto mode = registers->is_32bit() ? cpuid::CodeMode::bits32 : cpuid::CodeMode::bits64;
    const auto instruction = cpuid::recognise_cpuid(std::span(bytes).first(got), mode);
    if (!instruction) return false;
    answer_cpuid(thread, *registers, instruction->length);
    return true;
}

// So that no program's first question is a fault, which would force a signal: inside of a handler of SIGSEGV, or where that is blocked
// or ignored, the program would lose what it has set up (signal_state.cpp).
void Supervisor::learn_live_answers() {
    if (policy_.method != CpuidMethod::faulting || policy_.table.empty()) return;
    planter_.set_live_answers(live_cpuid_.learn(policy_.cpuid));
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
