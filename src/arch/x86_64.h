// What only x86 has: who made the processor, which leaves of CPUID have subleaves, the psABI level.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arch/cpuid_dump.h"
#include "arch/feature_set.h"

namespace cpulevel::arch {

// Source: Intel SDM vol. 2A "CPUID" leaves 0, 1, 0x80000002 to 4; AMD APM vol. 3 appendix E. What the dump does not
// hold is empty or zero.
struct X86Identity {
    std::string vendor;  // "GenuineIntel"
    std::string brand;   // without padding; may be empty
    std::uint32_t family = 0;  // display family and model: with the extended parts added
    std::uint32_t model = 0;
    std::uint32_t stepping = 0;
};
[[nodiscard]] X86Identity x86_identity(const CpuidDump& dump);

// Whether ECX on input selects among several answers of the leaf. For any other leaf a dump holds subleaf 0 only.
[[nodiscard]] bool x86_leaf_has_subleaves(std::uint32_t leaf);

// Whether the leaf is within the maximum of its range (0, 0x80000000, 0xC0000000), where the dump holds that maximum.
// Beyond it Intel answers with the data of the last basic leaf, which says nothing about the leaf that was asked for.
[[nodiscard]] bool x86_leaf_in_range(const CpuidDump& dump, std::uint32_t leaf);

// Intel, VIA and Zhaoxin show SYSCALL only to 64-bit code (Intel SDM vol. 2A, CPUID.80000001H:EDX[11]), so a dump made
// by a 32-bit program lacks it. Their processors with long mode all have it: added to the set.
void x86_add_hidden_syscall(const CpuidDump& dump, FeatureSet& set);

// AMD (and Hygon) repeat bits of leaf 1 EDX in leaf 0x80000001 EDX; Intel, VIA and Zhaoxin leave them zero. A dump
// without leaf 0 counts as repeating: it says nothing against it.
[[nodiscard]] bool x86_repeats_leaf_1(const CpuidDump& dump);

// The highest of x86-64, x86-64-v2, -v3, -v4 whose features are all in the set; empty if none.
[[nodiscard]] std::string_view x86_64_level_name(const FeatureSet& set);

}  // namespace cpulevel::arch
