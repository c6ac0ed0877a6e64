// The code under test is reached and left by jumps, at one RSP, so that the red zone is where a leaf function has it.
// Between loading the flags and storing them there are only moves, which keep them.
#include "stub_machine.h"

#if defined(__x86_64__)

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace {
using cpulevel::cpuid::MachineState;
}

extern "C" {
[[gnu::visibility("hidden"), gnu::used]] alignas(16) MachineState stub_machine_state;
[[gnu::visibility("hidden"), gnu::used]] std::uint64_t stub_machine_target;
[[gnu::visibility("hidden"), gnu::used]] std::uint64_t stub_machine_own_rsp;
[[gnu::visibility("hidden")]] void stub_machine_run();
[[gnu::visibility("hidden")]] extern const char stub_machine_leave[];
}

static_assert(offsetof(MachineState, flags) == 128 && offsetof(MachineState, red_zone) == 144);
static_assert(offsetof(MachineState, xmm) == 272);

asm(R"(
        .text
        .intel_syntax noprefix

        .globl  stub_machine_run, stub_machine_leave
        .hidden stub_machine_run, stub_machine_leave
stub_machine_run:
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
        pushfq
        mov     [rip + stub_machine_own_rsp], rsp

        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  xmm\i, [rip + stub_machine_state + 272 + \i * 16]
        mov     rax, [rip + stub_machine_state + 144 + \i * 8]
        mov     [rsp - 128 + \i * 8], rax
        .endr
        lea     rsp, [rsp - 128]                # the flags, from below the red zone
        push    qword ptr [rip + stub_machine_state + 128]
        popfq
        lea     rsp, [rsp + 128]

        mov     rax, [rip + stub_machine_state]
        mov     rcx, [rip + stub_machine_state + 8]
        mov     rdx, [rip + stub_machine_state + 16]
        mov     rbx, [rip + stub_machine_state + 24]
        mov     rbp, [rip + stub_machine_state + 40]
        mov     rsi, [rip + stub_machine_state + 48]
        mov     rdi, [rip + stub_machine_state + 56]
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        mov     r\i, [rip + stub_machine_state + \i * 8]
        .endr
        jmp     qword ptr [rip + stub_machine_target]

stub_machine_leave:
        mov     [rip + stub_machine_state], rax
        mov     [rip + stub_machine_state + 8], rcx
        mov     [rip + stub_machine_state + 16], rdx
        mov     [rip + stub_machine_state + 24], rbx
        mov     [rip + stub_machine_state + 32], rsp
        mov     [rip + stub_machine_state + 40], rbp
        mov     [rip + stub_machine_state + 48], rsi
        mov     [rip + stub_machine_state + 56], rdi
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        mov     [rip + stub_machine_state + \i * 8], r\i
        .endr
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  [rip + stub_machine_state + 272 + \i * 16], xmm\i
        mov     rax, [rsp - 128 + \i * 8]
        mov     [rip + stub_machine_state + 144 + \i * 8], rax
        .endr
        lea     rsp, [rsp - 128]
        pushfq
        pop     qword ptr [rip + stub_machine_state + 128]

        mov     rsp, [rip + stub_machine_own_rsp]
        popfq
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        ret
        .att_syntax prefix
)");

namespace cpulevel::cpuid {

MachineState run_code(std::uint64_t code, const MachineState& before) {
    stub_machine_state = before;
    stub_machine_target = code;
    stub_machine_run();
    return stub_machine_state;
}

std::uint64_t leave_target() { return reinterpret_cast<std::uint64_t>(&stub_machine_leave[0]); }

Arena::Arena(std::size_t size) : size_(size) {
    void* mapped = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap of an arena");
    address_ = reinterpret_cast<std::uint64_t>(mapped);
}

Arena::~Arena() { ::munmap(reinterpret_cast<void*>(address_), size_); }

void Arena::use(std::uint64_t address, std::size_t size) const {
    if (address < address_ || address + size > address_ + size_) throw std::logic_error("outside of the arena");
    if (::mprotect(reinterpret_cast<void*>(address), size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "mprotect of an arena");
    }
}

void Arena::write(std::uint64_t address, std::span<const std::byte> bytes) {
    std::memcpy(reinterpret_cast<void*>(address), bytes.data(), bytes.size());
}

}  // namespace cpulevel::cpuid

#endif
