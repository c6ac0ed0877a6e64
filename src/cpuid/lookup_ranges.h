// Where a program is in the middle of looking its CPU up.
//
// Programs do that in one go: a run of CPUID instructions, close together (glibc's init_cpu_features, libgcc's
// __cpu_indicator_init, OPENSSL_ia32_cpuid), the results of which are only right together. glibc, for one, takes the
// feature XSAVEC from one leaf and the size of its save area from another; if the first was the machine's and the
// second a level's, each lazily bound function call overwrites the stack. So what CPUID answers must not change in
// between. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cpulevel::cpuid {

// A run of CPUID instructions: addresses of the first one and behind the last one.
struct LookupRange {
    std::uint64_t first = 0, end = 0;
    friend bool operator==(const LookupRange&, const LookupRange&) = default;
};

// `sites`: addresses of CPUID instructions, sorted. Those that are close together are one run.
[[nodiscard]] std::vector<LookupRange> lookup_ranges(std::span<const std::uint64_t> sites);

// Is a thread that stands at `instruction`, with these words on top of its stack, in the middle of a run? A word that
// leads back into a run counts: a function that was called from there. So does the code just around a run, which
// prepares and evaluates it. May say yes where it is not so (an old return address); says no where the thread is
// elsewhere for certain.
[[nodiscard]] bool is_looking_up(std::uint64_t instruction, std::span<const std::uint64_t> stack,
                                 std::span<const LookupRange> ranges);

}  // namespace cpulevel::cpuid
