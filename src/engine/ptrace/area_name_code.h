// x86-64: a part of the code that a new program runs for us (ExecStub, QuickStub).
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

}  // namespace cpulevel::engine::ptrace
