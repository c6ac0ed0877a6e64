// What only machine instructions of one architecture can find out. native.cpp chooses the file for the architecture
// that is compiled for; nothing else in this room knows which one that is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "arch/cpuid_dump.h"
#include "arch/feature.h"

namespace cpulevel::profile::native {

[[nodiscard]] std::optional<arch::Architecture> architecture();  // nothing: one that cpulevel does not know

// CPUID on the CPU where this thread is; has_cpuid says whether there is such an instruction.
[[nodiscard]] bool has_cpuid();
[[nodiscard]] arch::CpuidRegisters cpuid(std::uint32_t leaf, std::uint32_t subleaf);
// XCR0; only where CPUID shows OSXSAVE.
[[nodiscard]] std::uint64_t xgetbv();
// Makes CPUID fault for this thread (ARCH_SET_CPUID 0). False: the kernel or the CPU refuses.
[[nodiscard]] bool arm_cpuid_faulting();
// The number of the CPU where this thread is, from the limit of segment 0x7b (arch/x86/include/asm/segment.h, __CPUNODE_SEG);
// nothing where that cannot be read.
[[nodiscard]] std::optional<std::uint32_t> cpu_by_segment();

// Values for NodeProfile::registers.
[[nodiscard]] std::map<std::string, std::uint64_t> registers();

}  // namespace cpulevel::profile::native
