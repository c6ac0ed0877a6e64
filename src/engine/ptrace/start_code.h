// x86-64: what the two codes that a new program runs for us (ExecStub, QuickStub) have in common.
#pragma once

#include "engine/ptrace/code_bytes.h"

namespace cpulevel::engine::ptrace {

// prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, %rdx, size, %rbp): a name for the area at %rdx in /proc/PID/maps.
template <std::size_t kMost>
void append_area_name(CodeBytes<kMost>& code, std::uint64_t size) {
    constexpr std::uint64_t kSetVma = 0x53564d41;  // PR_SET_VMA, Linux 5.17
    code.append({0x41, 0xba});  // mov $size, %r10d
    code.append_number(size, 4);
    code.append({0x49, 0x89, 0xe8,  // mov %rbp, %r8: the name
                 0x31, 0xf6,        // xor %esi, %esi: PR_SET_VMA_ANON_NAME
                 0xbf});            // mov $PR_SET_VMA, %edi
    code.append_number(kSetVma, 4);
    code.append({0xb8, 0x9d, 0, 0, 0,  // mov $157 (prctl), %eax
                 0x0f, 0x05});         // syscall
}

// arch_prctl(ARCH_SET_CPUID, 0), with the call filter's key in R9; the result is in RAX.
template <std::size_t kMost>
void append_arming(CodeBytes<kMost>& code) {
    code.append({0xb8, 0x9e, 0, 0, 0,     // mov $158 (arch_prctl), %eax
                 0xbf, 0x12, 0x10, 0, 0,  // mov $ARCH_SET_CPUID, %edi
                 0x31, 0xf6,              // xor %esi, %esi
                 0x0f, 0x05});            // syscall
}

}  // namespace cpulevel::engine::ptrace
