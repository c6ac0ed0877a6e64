// Planted traps: how CPUID is caught where the CPU cannot make it fault.
//
// What the kernel does: with CPUID faulting, CPUID in user mode raises #GP, which arrives as SIGSEGV (SI_KERNEL,
// address 0). HLT is privileged and does exactly the same on every x86 CPU. So the first byte of a CPUID
// instruction, 0F, becomes F4 (HLT): the thread stops at the same place with the same signal, and one handler
// serves both machines. One byte is written, so no thread ever sees half an instruction.
//
// What goes wrong otherwise: the bytes 0F A2 also stand inside other instructions and in data. Only places that
// find_sites() proved are changed, and only while memory holds 0F A2 there. CPUID in code that a program writes itself (a
// JIT compiler's) is not in a file and is not caught: coverage says so.
//
// Libraries: the dynamic loader maps them by mmap. Its own system call instruction for that (proved by find_sites
// too) gets the same trap, `F4 05`; the supervisor has the call done at another system call instruction (in the
// vdso), and plants the new mapping's sites before the loader goes on. No stop for any other mmap, and nothing
// stays behind in the process but bytes that can be written back (a seccomp filter could not be taken away again).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "cpuid/site_finder.h"
#include "engine/ptrace/task.h"

namespace cpulevel::engine::ptrace {

struct PlantingCounts {
    std::size_t planted = 0;    // traps over CPUID
    std::size_t undecided = 0;  // places that could be CPUID and were left alone
    std::size_t unreadable = 0; // mapped files that could not be examined
};

class Planter {
   public:
    // Every executable file mapping of a program at PTRACE_EVENT_EXEC; `interpreter_base` is AT_BASE (0: none).
    PlantingCounts plant_program(pid_t pid, AddressSpace& space, std::uint64_t interpreter_base);
    // A mapping that mmap just made: [start, start + length) of descriptor `fd` of the tracee, from `offset`.
    PlantingCounts plant_mapping(pid_t pid, AddressSpace& space, std::uint64_t start, std::uint64_t length, int fd,
                                 std::uint64_t offset);

   private:
    using FileIdentity = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::int64_t, std::int64_t>;
    struct Mapping {
        std::uint64_t start = 0, end = 0, offset = 0;
        bool with_map_calls = false;
    };
    std::shared_ptr<const cpuid::SiteScan> scan(int fd);
    PlantingCounts plant(pid_t pid, AddressSpace& space, const Mapping& mapping, const cpuid::SiteScan& scan);

    std::map<FileIdentity, std::shared_ptr<const cpuid::SiteScan>> scans_;  // null: cannot be examined
};

}  // namespace cpulevel::engine::ptrace
