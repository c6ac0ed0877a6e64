// Asks a CPU for everything that CPUID has to say: which leaves exist, and how many subleaves each of them has.
// Who executes CPUID is a parameter, so that the walk is tested with CPUs that we do not have.
#pragma once

#include <cstdint>
#include <functional>

#include "arch/cpuid_dump.h"

namespace cpulevel::profile {

using CpuidFunction = std::function<arch::CpuidRegisters(std::uint32_t leaf, std::uint32_t subleaf)>;

// Bounded whatever the CPU (or the hypervisor that plays one) answers: at most 256 leaves of each range and 64
// subleaves of a leaf. The subleaf that ends a list (cache type 0, topology level 0) is part of the dump: a program
// that walks the list reads it too.
[[nodiscard]] arch::CpuidDump walk_cpuid(const CpuidFunction& cpuid);

}  // namespace cpulevel::profile
