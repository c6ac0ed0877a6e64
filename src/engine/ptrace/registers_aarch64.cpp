// arm64 tracers of AArch64 and AArch32 tracees.
//
// What differs from x86: the number of a system call is in x8 (r7), apart from its result in x0 (r0), so a first
// argument does not survive where the kernel still writes a result: at PTRACE_EVENT_EXEC it sets x0 to 0 when the tracee
// goes on. The stub therefore loads x0 itself. A breakpoint instruction leaves the program counter where it is. Whether a
// stopped thread is in a system call is told by a regset of its own (NT_ARM_SYSTEM_CALL; -1: in none). At a system call
// stop x7 (r12) is not the program's: the kernel shows the direction there and puts the value back afterwards, whatever
// we write.
//
// Code that was written by PTRACE_POKETEXT can be executed at once: the kernel makes instruction and data caches agree
// (flush_ptrace_access()).
#include <linux/audit.h>
#include <linux/elf.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <bit>
#include <cstring>

#include "engine/ptrace/registers.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr SyscallNumbers kNumbers64{AUDIT_ARCH_AARCH64, kNoSyscall, kNoSyscall, 220, 435, 222, 226, 134, 167, kNoSyscall};
constexpr SyscallNumbers kNumbers32{AUDIT_ARCH_ARM, 2, 190, 120, 435, 192, 125, 174, 172, kNoSyscall};

constexpr std::size_t kNumber64 = 8, kNumber32 = 7;  // the register that holds the number of a system call
constexpr std::size_t kStack32 = 13, kInstruction32 = 15, kStatus32 = 16;
constexpr std::uint32_t kThumb = 0x20;  // CPSR.T: executes T32 instructions

constexpr std::array kSyscall64{std::byte{0x01}, std::byte{0x00}, std::byte{0x00}, std::byte{0xd4}};  // svc #0
constexpr std::array kSyscall32{std::byte{0x00}, std::byte{0x00}, std::byte{0x00}, std::byte{0xef}};  // svc #0 (A32)

void* regset(unsigned type) { return std::bit_cast<void*>(std::uint64_t{type}); }

}  // namespace

std::optional<Registers> Registers::get(pid_t tid) {
    Registers registers;
    RawRegisters& raw = registers.raw_;
    iovec place{&raw.wide, sizeof raw.wide};
    if (::ptrace(PTRACE_GETREGSET, tid, regset(NT_PRSTATUS), &place) != 0) return std::nullopt;
    raw.is_narrow = place.iov_len == sizeof raw.narrow;
    if (raw.is_narrow) {
        std::memcpy(raw.narrow.data(), &raw.wide, sizeof raw.narrow);
        raw.wide = {};
    }
    return registers;
}

bool Registers::set(pid_t tid) const {
    if (raw_.forget_syscall) {
        int none = -1;
        iovec place{&none, sizeof none};
        if (::ptrace(PTRACE_SETREGSET, tid, regset(NT_ARM_SYSTEM_CALL), &place) != 0) return false;
    }
    RawRegisters copy = raw_;
    iovec place{&copy.wide, sizeof copy.wide};
    if (raw_.is_narrow) place = {copy.narrow.data(), sizeof copy.narrow};
    return ::ptrace(PTRACE_SETREGSET, tid, regset(NT_PRSTATUS), &place) == 0;
}

inherit::AbiFamily Registers::abi() const {
    return is_32bit() ? inherit::AbiFamily::arm32 : inherit::AbiFamily::aarch64;
}
bool Registers::is_32bit() const { return raw_.is_narrow; }

RemoteAddress Registers::instruction() const {
    return RemoteAddress{raw_.is_narrow ? raw_.narrow[kInstruction32] : raw_.wide.pc};
}

void Registers::jump(RemoteAddress to) {
    if (raw_.is_narrow) {
        raw_.narrow[kInstruction32] = static_cast<std::uint32_t>(value(to));
        raw_.narrow[kStatus32] &= ~kThumb;  // what we jump to is A32 code
    } else {
        raw_.wide.pc = value(to);
    }
}

RemoteAddress Registers::stack() const { return RemoteAddress{raw_.is_narrow ? raw_.narrow[kStack32] : raw_.wide.sp}; }

// From the register where the program put it: it is kept during the call.
std::uint64_t Registers::syscall_number() const {
    return raw_.is_narrow ? raw_.narrow[kNumber32] : raw_.wide.regs[kNumber64];
}
std::uint64_t Registers::requested_syscall() const { return syscall_number(); }

// The first is there until the result is written over it.
std::uint64_t Registers::syscall_argument(unsigned index) const {
    return raw_.is_narrow ? raw_.narrow[index] : raw_.wide.regs[index];
}

std::int64_t Registers::syscall_result() const {
    if (raw_.is_narrow) return static_cast<std::int32_t>(raw_.narrow[0]);
    return static_cast<std::int64_t>(raw_.wide.regs[0]);
}

void Registers::skip_syscall(std::int64_t result) {
    forget_syscall();
    if (raw_.is_narrow) {
        raw_.narrow[0] = static_cast<std::uint32_t>(static_cast<std::uint64_t>(result));
    } else {
        raw_.wide.regs[0] = static_cast<std::uint64_t>(result);
    }
}

void Registers::forget_syscall() { raw_.forget_syscall = true; }

void Registers::prepare_syscall(std::uint64_t number, std::span<const std::uint64_t> arguments) {
    if (raw_.is_narrow) {
        raw_.narrow[kNumber32] = static_cast<std::uint32_t>(number);
        for (std::size_t i = 0; i < arguments.size(); ++i) raw_.narrow[i] = static_cast<std::uint32_t>(arguments[i]);
    } else {
        raw_.wide.regs[kNumber64] = number;
        for (std::size_t i = 0; i < arguments.size(); ++i) raw_.wide.regs[i] = arguments[i];
    }
    forget_syscall();
}

const SyscallNumbers& syscall_numbers(bool is_32bit) { return is_32bit ? kNumbers32 : kNumbers64; }

std::span<const std::byte> syscall_instruction(bool is_32bit) { return is_32bit ? kSyscall32 : kSyscall64; }

ExecStub::ExecStub(bool is_32bit, const Tasks& tasks, FilterCookie cookie)
    : cookie_(cookie), is_32bit_(is_32bit), tasks_(tasks) {
    if (!tasks_.set_aux_vector) return;
    if (is_32bit) {
        code_.append({0x23, 0x00, 0xa0, 0xe3});  // mov r0, #35 (PR_SET_MM)
        code_.append({0xac, 0x70, 0xa0, 0xe3});  // mov r7, #172 (prctl)
        code_.append({0x00, 0x00, 0x00, 0xef});  // svc #0
        code_.append({0x00, 0x80, 0xa0, 0xe1});  // mov r8, r0
        code_.append({0xf0, 0x01, 0xf0, 0xe7});  // udf #16, the kernel's AArch32 breakpoint (AARCH32_BREAK_ARM)
    } else {
        code_.append({0x60, 0x04, 0x80, 0xd2});  // mov x0, #35 (PR_SET_MM)
        code_.append({0xe8, 0x14, 0x80, 0xd2});  // mov x8, #167 (prctl)
        code_.append({0x01, 0x00, 0x00, 0xd4});  // svc #0
        code_.append({0xf3, 0x03, 0x00, 0xaa});  // mov x19, x0
        code_.append({0x00, 0x00, 0x20, 0xd4});  // brk #0
    }
}

// A32 instructions are aligned; the entry of a T32 program need not be.
RemoteAddress ExecStub::place(RemoteAddress entry) const { return RemoteAddress{value(entry) & ~std::uint64_t{3}}; }

RemoteAddress ExecStub::trap(RemoteAddress at) const {
    constexpr std::size_t kInstruction = 4;
    return at + (code_.size() - kInstruction);
}

void ExecStub::prepare(Registers& registers, RemoteAddress at, RemoteAddress map) const {
    constexpr std::uint64_t kMapSize = sizeof(prctl_mm_map);
    const std::array<std::uint64_t, 6> arguments{PR_SET_MM, PR_SET_MM_MAP, value(map), kMapSize, 0, cookie_};
    registers.prepare_syscall(0, arguments);
    registers.jump(at);
}

ExecStub::Results ExecStub::results(const Registers& registers) const {
    constexpr std::size_t kKept64 = 19, kKept32 = 8;
    Results results;
    if (!tasks_.set_aux_vector) return results;
    results.set_aux_vector = is_32bit_ ? std::int64_t{static_cast<std::int32_t>(registers.raw_.narrow[kKept32])}
                                       : static_cast<std::int64_t>(registers.raw_.wide.regs[kKept64]);
    return results;
}

}  // namespace cpulevel::engine::ptrace
