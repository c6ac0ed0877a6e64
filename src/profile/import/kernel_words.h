// A machine in the words of the Linux kernel, as /proc/cpuinfo prints them and lscpu repeats them.
//
// It is the kernel's opinion. On arm64, s390x and LoongArch the words are exactly the names of the HWCAP bits, so that
// the words can be put together again. On x86 they are a selection: which CPUID bits have a name depends on the kernel's
// version, and the raw values, the XSAVE layout and HWCAP2 are not there at all. So a missing x86 word means "no" only for
// the CPUID words that every kernel since 3.10 prints in full; of the others nothing is known. On riscv64 the single
// letters of the ISA string are the HWCAP bits. On POWER there are no words, only the processor's name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "profile/import/format.h"

namespace cpulevel::profile::import {

struct KernelWords {
    arch::Architecture architecture = arch::Architecture::x86_64;
    std::string origin;      // "/proc/cpuinfo", "lscpu"
    Identity identity;
    std::string hypervisor;  // empty: not told
    // Each different line of words and the CPUs that have it: flags, or the ISA string, or POWER's processor name.
    std::map<std::string, std::vector<unsigned>, std::less<>> lines;
};

inline constexpr std::size_t kMostDifferentLines = 4096;

[[nodiscard]] Result<NodeProfile> profile_of(const KernelWords& words, const std::string& name);

// "0x..." or decimal, as far as a CPU's family, model or stepping goes; else 0.
[[nodiscard]] std::uint32_t small_number(std::string_view text);

}  // namespace cpulevel::profile::import
