// The system call that the supervisor must see where it uses CPUID faulting: a process that sets CPUID faulting itself,
// arch_prctl(ARCH_SET_CPUID), would switch the level off.
//
// It is rare, so that stopping at every system call for it would be absurd (two stops each). A seccomp filter stops at
// exactly this one (SECCOMP_RET_TRACE), and the kernel answers every other call from a bitmap of "always allowed" numbers.
// What the filter leaves behind: it cannot be taken out of a process again, and with nobody attached the calls that it
// names, arch_prctl(ARCH_GET_CPUID and ARCH_SET_CPUID), give ENOSYS. On most CPUs they give ENODEV, so that programs
// are prepared for a failure. Nothing else is in it; marks are seen without a filter (saved_vector.h). Measured and
// weighed in docs/decisions/006-seeing-prctl.md.
#pragma once

#include <cstdint>

#include "util/error.h"

namespace cpulevel::engine::ptrace {

// A call that carries this number as its (unused) sixth argument is our own stub's and passes unseen.
using FilterCookie = std::uint32_t;

// What the filter says to the tracer (SECCOMP_RET_DATA): a stop with other data is from a filter of the program's own.
inline constexpr std::uint16_t kFilterMessage = 0x6c76;

// May the filter be installed in a child of this process without changing what set-user-ID programs can do there?
[[nodiscard]] bool call_filter_possible();

// In the process that becomes the program. Sets no_new_privs where the filter cannot be had otherwise. 0 or errno.
[[nodiscard]] int install_call_filter(FilterCookie cookie);

}  // namespace cpulevel::engine::ptrace
