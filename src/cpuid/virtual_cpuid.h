// The virtual CPUID: what a levelled program gets for every (EAX, ECX) it can ask, from one table built from the
// level. Pure: the real CPUID, needed for LIVE fields, is a parameter.
#pragma once

#include <cstdint>
#include <functional>

#include "arch/cpuid_dump.h"
#include "level/level.h"

namespace cpulevel::cpuid {

// Executes CPUID on the CPU where the asking thread is; only called for leaves with LIVE (or unchosen NAMED) fields.
using RealCpuid = std::function<arch::CpuidRegisters(std::uint32_t leaf, std::uint32_t subleaf)>;

class VirtualCpuid {
   public:
    // `host` is this machine's own CPUID as the probe dumped it: for NAMED leaves of a level without nodes.
    [[nodiscard]] static VirtualCpuid build(const level::Level& level, const arch::CpuidDump& host);

    // What a program sees for EAX = leaf, ECX = subleaf, for any values, also beyond the maximum leaves and in the
    // hypervisor range.
    [[nodiscard]] arch::CpuidRegisters answer(std::uint32_t leaf, std::uint32_t subleaf, const RealCpuid& real) const;

    [[nodiscard]] std::uint32_t maximum_basic_leaf() const { return maximum_basic_; }
    [[nodiscard]] std::uint32_t maximum_extended_leaf() const { return maximum_extended_; }

    // One stored answer: `fixed` where `live` has 0 bits, the real CPUID where it has 1 bits.
    struct Entry {
        arch::CpuidRegisters fixed;
        arch::CpuidRegisters live;
        bool has_subleaves = false;
    };
    [[nodiscard]] const std::map<arch::CpuidKey, Entry>& entries() const { return entries_; }

   private:
    std::map<arch::CpuidKey, Entry> entries_;
    std::uint32_t maximum_basic_ = 0;
    std::uint32_t maximum_extended_ = 0;
    bool above_maximum_repeats_highest_ = false;  // Intel: the data of the highest basic leaf; AMD: zeros
};

}  // namespace cpulevel::cpuid
