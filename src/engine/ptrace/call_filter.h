// The system calls that the supervisor must see: a process that replaces its saved auxiliary vector marks itself for
// inheritance (inherit/marks.h, rule 1), and one that sets CPUID faulting itself would switch the level off.
//
// They are rare, so that stopping at every system call for them would be absurd (two stops each). A seccomp filter
// stops at exactly these (SECCOMP_RET_TRACE), and the kernel answers every other call from a bitmap of "always allowed"
// numbers. What the filter leaves behind: it cannot be taken out of a process again, and with nobody attached the
// calls that it names give ENOSYS: prctl(PR_SET_MM, PR_SET_MM_AUXV or _MAP) and arch_prctl(ARCH_GET/SET_CPUID). Both
// are calls of checkpointers and debuggers; a program that meets ENOSYS there meets what old kernels say.
// (Measured and weighed in docs/decisions/006-seeing-prctl.md.)
#pragma once

#include <cstdint>

#include "util/error.h"

namespace cpulevel::engine::ptrace {

// A call that carries this number as its (unused) sixth argument is our own stub's and passes unseen.
using FilterCookie = std::uint32_t;

// May the filter be installed in a child of this process without changing what set-user-ID programs can do there?
[[nodiscard]] bool call_filter_possible();

// In the process that becomes the program. Sets no_new_privs where the filter cannot be had otherwise. 0 or errno.
[[nodiscard]] int install_call_filter(FilterCookie cookie);

}  // namespace cpulevel::engine::ptrace
