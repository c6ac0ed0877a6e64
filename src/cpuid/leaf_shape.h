// How the leaves of CPUID use ECX, which no dump tells: a dump of a leaf with one subleaf looks the same whether
// the leaf ignores ECX or answers zeros for every other value.
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

// Leaves for which ECX selects a subleaf; a subleaf that is not there answers zeros.
[[nodiscard]] constexpr bool uses_subleaf(std::uint32_t leaf) {
    constexpr std::array<std::uint32_t, 23> kLeaves{
        0x4,  0x7,  0xb,  0xd,  0xf,  0x10, 0x12, 0x14, 0x17, 0x18,       0x1b,       0x1d,
        0x1e, 0x1f, 0x20, 0x23, 0x24, 0x27, 0x28, 0x29, 0x8000001d, 0x80000020, 0x80000026};
    return std::ranges::find(kLeaves, leaf) != kLeaves.end();
}

// Leaves whose subleaf 0 says in EAX which subleaf is the last.
[[nodiscard]] constexpr bool states_last_subleaf(std::uint32_t leaf) {
    constexpr std::array<std::uint32_t, 7> kLeaves{0x7, 0x14, 0x17, 0x18, 0x1d, 0x20, 0x24};
    return std::ranges::find(kLeaves, leaf) != kLeaves.end();
}

// Topology leaves: ECX[7:0] repeats the subleaf that was asked for, also beyond the last level, and EDX is the
// x2APIC id of the CPU whatever the subleaf.
[[nodiscard]] constexpr bool repeats_subleaf(std::uint32_t leaf) {
    return leaf == 0xb || leaf == 0x1f || leaf == 0x80000026;
}

}  // namespace cpulevel::cpuid
