// What a dump of CPUID does not tell about its leaves: where their ranges start, and what they do with ECX beyond
// selecting a subleaf (arch::x86_leaf_has_subleaves).
// Sources: Intel SDM vol. 2A, "CPUID", table 3-8 ("output depends on the initial value in ECX"); AMD APM vol. 3,
// appendix E.3 and E.4.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace cpulevel::cpuid {

inline constexpr std::uint32_t kHypervisorFirst = 0x40000000;
inline constexpr std::uint32_t kHypervisorLast = 0x4fffffff;
inline constexpr std::uint32_t kExtendedFirst = 0x80000000;
inline constexpr std::uint32_t kCentaurFirst = 0xc0000000;

// Leaves whose subleaf 0 says in EAX which subleaf is the last.
[[nodiscard]] constexpr bool states_last_subleaf(std::uint32_t leaf) {
    constexpr std::array<std::uint32_t, 8> kLeaves{0x7, 0x14, 0x17, 0x18, 0x1d, 0x1e, 0x20, 0x24};
    return std::ranges::find(kLeaves, leaf) != kLeaves.end();
}

// Topology leaves: ECX[7:0] repeats the subleaf that was asked for, also beyond the last level, and EDX is the
// x2APIC id of the CPU whatever the subleaf.
[[nodiscard]] constexpr bool repeats_subleaf(std::uint32_t leaf) {
    return leaf == 0xb || leaf == 0x1f || leaf == 0x80000026;
}

}  // namespace cpulevel::cpuid
