// x86-64 and i386 tracees of an x86-64 tracer. PTRACE_GETREGS always uses the 64-bit struct, for both; what code a
// thread runs is told by its code segment selector (arch/x86/include/asm/segment.h: __USER32_CS is 0x23).
#include <linux/audit.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include <algorithm>

#include "engine/ptrace/registers.h"
#include "engine/ptrace/start_code.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint64_t kUser32CodeSegment = 0x23;
constexpr unsigned kArchSetCpuid = 0x1012;  // ARCH_SET_CPUID, arch/x86/include/uapi/asm/prctl.h
constexpr std::array kSyscall64{std::byte{0x0f}, std::byte{0x05}};  // syscall
constexpr std::array kSyscall32{std::byte{0xcd}, std::byte{0x80}};  // int $0x80
constexpr SyscallNumbers kNumbers64{AUDIT_ARCH_X86_64, 57, 58, 56, 435, 9, 10, 13, 157, 158};
constexpr SyscallNumbers kNumbers32{AUDIT_ARCH_I386, 2, 190, 120, 435, 192, 125, 174, 172, 384};

}  // namespace

std::optional<Registers> Registers::get(pid_t tid) {
    Registers registers;
    if (::ptrace(PTRACE_GETREGS, tid, nullptr, &registers.raw_) != 0) return std::nullopt;
    return registers;
}

bool Registers::set(pid_t tid) const {
    return ::ptrace(PTRACE_SETREGS, tid, nullptr, const_cast<RawRegisters*>(&raw_)) == 0;
}

inherit::AbiFamily Registers::abi() const { return inherit::AbiFamily::x86; }
bool Registers::is_32bit() const { return raw_.cs == kUser32CodeSegment; }
RemoteAddress Registers::instruction() const { return RemoteAddress{raw_.rip}; }
void Registers::jump(RemoteAddress to) { raw_.rip = value(to); }
RemoteAddress Registers::stack() const { return RemoteAddress{raw_.rsp}; }

std::uint64_t Registers::syscall_number() const { return raw_.orig_rax; }

std::uint64_t Registers::syscall_argument(unsigned index) const {
    if (is_32bit()) {
        const std::array arguments{raw_.rbx, raw_.rcx, raw_.rdx, raw_.rsi, raw_.rdi, raw_.rbp};
        return arguments[index] & 0xffffffffU;
    }
    return std::array{raw_.rdi, raw_.rsi, raw_.rdx, raw_.r10, raw_.r8, raw_.r9}[index];
}

std::int64_t Registers::syscall_result() const {
    if (is_32bit()) return static_cast<std::int32_t>(static_cast<std::uint32_t>(raw_.rax));
    return static_cast<std::int64_t>(raw_.rax);
}

std::uint64_t Registers::requested_syscall() const { return is_32bit() ? raw_.rax & 0xffffffffU : raw_.rax; }

void Registers::skip_syscall(std::int64_t result) {
    forget_syscall();
    raw_.rax = static_cast<std::uint64_t>(result);
}

void Registers::forget_syscall() { raw_.orig_rax = ~0ULL; }

void Registers::prepare_syscall(std::uint64_t number, std::span<const std::uint64_t> arguments) {
    raw_.rax = number;
    const std::array places64{&raw_.rdi, &raw_.rsi, &raw_.rdx, &raw_.r10, &raw_.r8, &raw_.r9};
    const std::array places32{&raw_.rbx, &raw_.rcx, &raw_.rdx, &raw_.rsi, &raw_.rdi, &raw_.rbp};
    const auto& places = is_32bit() ? places32 : places64;
    for (std::size_t i = 0; i < arguments.size(); ++i) *places[i] = arguments[i];
    forget_syscall();
}

std::uint32_t Registers::cpuid_leaf() const { return static_cast<std::uint32_t>(raw_.rax); }
std::uint32_t Registers::cpuid_subleaf() const { return static_cast<std::uint32_t>(raw_.rcx); }

void Registers::answer_cpuid(const arch::CpuidRegisters& answer, unsigned length) {
    raw_.rax = answer.eax;
    raw_.rbx = answer.ebx;
    raw_.rcx = answer.ecx;
    raw_.rdx = answer.edx;
    raw_.rip += length;
}

const SyscallNumbers& syscall_numbers(bool is_32bit) { return is_32bit ? kNumbers32 : kNumbers64; }

std::span<const std::byte> syscall_instruction(bool is_32bit) { return is_32bit ? kSyscall32 : kSyscall64; }

ExecStub::ExecStub(bool is_32bit, const Tasks& tasks, FilterCookie cookie)
    : cookie_(cookie), is_32bit_(is_32bit), tasks_(tasks) {
    if (is_32bit) tasks_.areas = {};
    const bool map_areas = std::ranges::any_of(tasks_.areas, [](const AreaRequest& area) { return area.size != 0; });
    if (!tasks_.set_aux_vector && !tasks_.arm_cpuid_faulting && !map_areas) return;
    constexpr unsigned low = kArchSetCpuid & 0xffU;
    constexpr unsigned high = kArchSetCpuid >> 8U;
    if (is_32bit) {
        if (tasks_.set_aux_vector) code_.append({0xb8, 0xac, 0, 0, 0,     // mov $172 (prctl), %eax
                                    0xcd, 0x80,              // int $0x80
                                    0x89, 0xc2});            // mov %eax, %edx
        if (tasks_.arm_cpuid_faulting) code_.append({0xb8, 0x80, 1, 0, 0,      // mov $384 (arch_prctl), %eax
                                        0xbb, low, high, 0, 0,    // mov $ARCH_SET_CPUID, %ebx
                                        0x31, 0xc9,               // xor %ecx, %ecx
                                        0xcd, 0x80,               // int $0x80
                                        0x89, 0xc6});             // mov %eax, %esi
    } else {
        if (tasks_.set_aux_vector) code_.append({0xb8, 0x9d, 0, 0, 0,     // mov $157 (prctl), %eax
                                    0x0f, 0x05,              // syscall
                                    0x49, 0x89, 0xc4});      // mov %rax, %r12
        if (tasks_.arm_cpuid_faulting) {
            append_arming(code_);
            code_.append({0x49, 0x89, 0xc5});  // mov %rax, %r13
        }
        constexpr std::array kKeepers{0xc6U, 0xc7U};  // mov %rax, %r14 and %r15
        for (std::size_t i = 0; map_areas && i < tasks_.areas.size(); ++i) {
            const AreaRequest& area = tasks_.areas[i];
            if (area.size == 0) continue;
            code_.append({0x48, 0xbf});  // mov $hint, %rdi
            code_.append_number(area.below - area.size, 8);
            code_.append({0xbe});  // mov $size, %esi
            code_.append_number(area.size, 4);
            code_.append({0xba, PROT_READ | PROT_EXEC, 0, 0, 0,                // mov $(R|X), %edx
                    0x41, 0xba, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0, 0,    // mov $(PRIVATE|ANONYMOUS), %r10d
                    0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff,            // mov $-1, %r8
                    0x45, 0x31, 0xc9,                                    // xor %r9d, %r9d
                    0xb8, 0x09, 0, 0, 0,                                 // mov $9 (mmap), %eax
                    0x0f, 0x05,                                          // syscall
                    0x49, 0x89, kKeepers[i]});
            if (!tasks_.name_areas) continue;
            code_.append({0x48, 0x89, 0xc2});  // mov %rax, %rdx
            append_area_name(code_, area.size);
        }
    }
    code_.append({0xcc});  // int3
}

RemoteAddress ExecStub::place(RemoteAddress entry) const {
    constexpr std::uint64_t kPage = 4096;
    const std::uint64_t in_page = value(entry) % kPage;
    return in_page + code_.size() <= kPage ? entry : RemoteAddress{value(entry) - in_page + kPage - code_.size()};
}

RemoteAddress ExecStub::trap(RemoteAddress at) const { return at + code_.size(); }  // int3 is behind it

void ExecStub::prepare(Registers& registers, RemoteAddress at, RemoteAddress map) const {
    constexpr std::uint64_t kMapSize = sizeof(prctl_mm_map);
    const std::array<std::uint64_t, 6> arguments{PR_SET_MM, PR_SET_MM_MAP, value(map), kMapSize, 0, cookie_};
    registers.prepare_syscall(0, arguments);
    registers.jump(at);
    registers.raw_.rbp = value(map) + kMapSize;
}

ExecStub::Results ExecStub::results(const Registers& registers) const {
    auto number = [&](std::uint64_t raw) {
        return is_32bit_ ? static_cast<std::int64_t>(static_cast<std::int32_t>(static_cast<std::uint32_t>(raw)))
                         : static_cast<std::int64_t>(raw);
    };
    Results results;
    if (tasks_.set_aux_vector) results.set_aux_vector = number(is_32bit_ ? registers.raw_.rdx : registers.raw_.r12);
    if (tasks_.arm_cpuid_faulting) results.arm_cpuid_faulting = number(is_32bit_ ? registers.raw_.rsi : registers.raw_.r13);
    const std::array areas{registers.raw_.r14, registers.raw_.r15};
    for (std::size_t i = 0; i < areas.size(); ++i) {
        const bool failed = areas[i] > ~std::uint64_t{4095};  // -errno
        if (tasks_.areas[i].size != 0 && !failed) results.areas[i] = areas[i];
    }
    return results;
}

}  // namespace cpulevel::engine::ptrace
