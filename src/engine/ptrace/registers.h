// What the engine needs of an architecture's registers and instructions, behind one small interface; one .cpp an
// architecture (registers_x86_64.cpp, registers_aarch64.cpp). Nobody else in the engine names a register.
#pragma once

#include <linux/prctl.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/cpuid_dump.h"
#include "engine/ptrace/call_filter.h"
#include "engine/ptrace/code_bytes.h"
#include "engine/ptrace/raw_registers.h"
#include "engine/ptrace/remote.h"
#include "inherit/aux_vector.h"
#include "inherit/marks.h"

namespace cpulevel::engine::ptrace {

// The general registers of a stopped thread, as the kernel gave them.
class Registers {
   public:
    [[nodiscard]] static std::optional<Registers> get(pid_t tid);
    bool set(pid_t tid) const;  // false: the thread is gone

    [[nodiscard]] inherit::AbiFamily abi() const;
    [[nodiscard]] bool is_32bit() const;  // runs 32-bit instructions now
    [[nodiscard]] RemoteAddress instruction() const;
    void jump(RemoteAddress to);
    [[nodiscard]] RemoteAddress stack() const;

    // System calls: the number that was asked for at a syscall stop, and the result after it.
    [[nodiscard]] std::uint64_t syscall_number() const;
    [[nodiscard]] std::uint64_t syscall_argument(unsigned index) const;
    [[nodiscard]] std::int64_t syscall_result() const;
    void prepare_syscall(std::uint64_t number, std::span<const std::uint64_t> arguments);
    // For a system call instruction that a trap stands in for: the number is where the program had put it.
    [[nodiscard]] std::uint64_t requested_syscall() const;
    void skip_syscall(std::int64_t result);  // at a seccomp stop: the call is not done, and gives this
    void forget_syscall();  // what is set next is not the outcome of a system call: no restart, no rewind

    // x86 only: CPUID's operands and its answer (zero-extended, as the CPU does), stepping over `length` bytes.
    [[nodiscard]] std::uint32_t cpuid_leaf() const;
    [[nodiscard]] std::uint32_t cpuid_subleaf() const;
    void answer_cpuid(const arch::CpuidRegisters& answer, unsigned length);

   private:
    friend class ExecStub;
    friend class QuickStub;
    RawRegisters raw_{};
};

// System call numbers of the thread's ABI that the engine looks at; kNoSyscall where it has no such call.
inline constexpr std::uint64_t kNoSyscall = 0xfffffffeU;
struct SyscallNumbers {
    std::uint32_t audit_arch;  // AUDIT_ARCH_*, as a seccomp filter sees the ABI
    std::uint64_t fork, vfork, clone, clone3, mmap, mprotect, rt_sigaction, prctl, arch_prctl;
};
[[nodiscard]] const SyscallNumbers& syscall_numbers(bool is_32bit);
// The bytes of the instruction that does a system call.
[[nodiscard]] std::span<const std::byte> syscall_instruction(bool is_32bit);
// The flags argument of clone is first on every ABI that we handle; clone3 points to a struct that starts with them.

// A few instructions run in a new program before its first own one: they replace the saved auxiliary vector
// (PR_SET_MM_MAP) and make CPUID fault, and end in a trap. Registers pass the arguments, so that one write of code
// and one stop are all it costs.
class ExecStub {
   public:
    // Memory for the stubs of a module, mapped by the program itself: near `below`, under it if that is free.
    struct AreaRequest {
        std::uint64_t below = 0;
        std::size_t size = 0;  // 0: none wanted
    };
    static constexpr std::size_t kAreas = 2;  // the program and its interpreter
    struct Tasks {
        bool set_aux_vector = false;
        bool arm_cpuid_faulting = false;
        std::array<AreaRequest, kAreas> areas{};  // 64-bit x86 only
        bool name_areas = false;                  // /proc/PID/maps is to show kAreaName
    };
    static constexpr std::size_t kMostCode = 192;  // bytes
    static constexpr std::array<char, 16> kAreaName{"cpulevel"};
    // What it needs in memory.
    struct Data {
        prctl_mm_map map{};
        std::array<char, kAreaName.size()> name = kAreaName;
    };

    ExecStub(bool is_32bit, const Tasks& tasks, FilterCookie cookie = 0);
    [[nodiscard]] std::span<const std::byte> code() const { return code_.bytes(); }
    [[nodiscard]] bool empty() const { return code_.size() == 0; }
    [[nodiscard]] const Tasks& tasks() const { return tasks_; }
    // Where the stub goes in a program that starts at `entry`: there, or before it, for alignment or to end in its page.
    [[nodiscard]] RemoteAddress place(RemoteAddress entry) const;
    // Where the program counter is when the trap has ended a stub at `at`.
    [[nodiscard]] RemoteAddress trap(RemoteAddress at) const;
    // Sets the registers so that the code at `at` runs with a Data at `map`. Usable at
    // PTRACE_EVENT_EXEC: the kernel still overwrites the result register there, and only that.
    void prepare(Registers& registers, RemoteAddress at, RemoteAddress map) const;

    struct Results {
        std::int64_t set_aux_vector = 0;      // 0 or -errno
        std::int64_t arm_cpuid_faulting = 0;
        std::array<std::uint64_t, kAreas> areas{};  // addresses; 0: none
    };
    [[nodiscard]] Results results(const Registers& registers) const;

   private:
    CodeBytes<kMostCode> code_;
    FilterCookie cookie_;
    bool is_32bit_;
    Tasks tasks_;
};

// The signal mask bit of a signal, as PTRACE_GETSIGMASK and /proc/PID/stat count them.
[[nodiscard]] constexpr std::uint64_t signal_bit(int signal) { return std::uint64_t{1} << (signal - 1); }

}  // namespace cpulevel::engine::ptrace
