// The calls that the filter stops at (call_filter.h): CPUID faulting, which we use for ourselves, is virtual for the
// program.
#include <cerrno>
#include <cstdint>
#include <utility>

#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint64_t kArchGetCpuid = 0x1011;  // arch/x86/include/uapi/asm/prctl.h

}  // namespace

void Supervisor::on_watched_call(Thread& thread) {
    auto registers = Registers::get(thread.tid);
    if (!registers) {
        resume(thread.tid, Resume::run);
        return;
    }
    if (event_message(thread.tid) != kFilterMessage) {
        // A filter of the program's own asks for a tracer, and means another: without one the call does not exist.
        registers->skip_syscall(-ENOSYS);
        registers->set(thread.tid);
        resume(thread.tid, Resume::run);
        return;
    }
    // Our own stub's call, where the filter is of an earlier supervisor and does not know our cookie.
    if (thread.phase == Phase::exec_stub) {
        resume(thread.tid, Resume::run);
        return;
    }
    const SyscallNumbers& numbers = syscall_numbers(registers->is_32bit());
    if (registers->syscall_number() == numbers.arch_prctl && policy_.method == CpuidMethod::faulting) {
        // Whatever the program sets, its CPUID goes on faulting: for us, or for its own handler.
        if (registers->syscall_argument(0) == kArchGetCpuid) {
            registers->skip_syscall(thread.cpuid_faults_for_program ? 0 : 1);
        } else {
            thread.cpuid_faults_for_program = registers->syscall_argument(1) == 0;
            // A program that wants its CPUID to fault must find the instruction there; whoever does not, faults for us.
            if (thread.cpuid_faults_for_program) {
                for (const ReplacedSite& site : std::exchange(thread.space->jumps, {})) {
                    write_text(thread.tid, RemoteAddress{site.address}, site.original);
                }
            }
            registers->skip_syscall(0);
        }
        registers->set(thread.tid);
    }
    resume(thread.tid, Resume::run);
}

}  // namespace cpulevel::engine::ptrace
