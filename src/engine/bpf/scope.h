// What an attachment imposes, as the value that the kernel side reads (layout.h). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "arch/feature.h"
#include "engine/bpf/layout.h"
#include "inherit/marks.h"
#include "level/level.h"

namespace cpulevel::engine::bpf {

struct ScopeOptions {
    const level::Level* level = nullptr;  // none: only what programs set by prctl is inherited
    bool strict = false;
    std::string target;  // what it is attached to, for people
    std::uint64_t attached_at = 0;  // seconds since 1970
};

[[nodiscard]] cpulevel_scope make_scope(const ScopeOptions& options);

// What programs see that are inside of both: words ANDed, the larger signal stack, strict if either is. The kernel
// side does the same with every scope that a program is in.
[[nodiscard]] inherit::Imposed imposed_by_all(arch::Architecture architecture, std::initializer_list<cpulevel_scope> scopes);

// The bits of the architecture's own ABI that rule 10 protects.
[[nodiscard]] std::array<std::uint64_t, CPULEVEL_WORDS> security_words(arch::Architecture architecture);

// The architecture that this executable is for.
#if defined(__aarch64__)
inline constexpr arch::Architecture kOwnArchitecture = arch::Architecture::aarch64;
#else
inline constexpr arch::Architecture kOwnArchitecture = arch::Architecture::x86_64;
#endif

}  // namespace cpulevel::engine::bpf
