// The virtual CPUID: what a levelled program gets for every (EAX, ECX) it can ask, from one table built from the
// level. Pure: the real CPUID, needed for LIVE fields, is a parameter.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>

#include "arch/cpuid_dump.h"
#include "level/level.h"

namespace cpulevel::cpuid {

// Executes CPUID on the CPU where the asking thread is; only called for leaves with LIVE fields.
using RealCpuid = std::function<arch::CpuidRegisters(std::uint32_t leaf, std::uint32_t subleaf)>;

class VirtualCpuid {
   public:
    // `host` is this machine's own CPUID as the probe dumped it: for NAMED leaves of a level without nodes, and to
    // know which leaves the machine cannot answer LIVE.
    [[nodiscard]] static VirtualCpuid build(const level::Level& level, const arch::CpuidDump& host);

    // What a program sees for EAX = leaf, ECX = subleaf, for any values, also beyond the maximum leaves and in the
    // hypervisor range. Allocates nothing (unless `real` does).
    [[nodiscard]] arch::CpuidRegisters answer(std::uint32_t leaf, std::uint32_t subleaf, const RealCpuid& real) const;

    [[nodiscard]] std::uint32_t maximum_basic_leaf() const { return ranges_[0].last; }
    [[nodiscard]] std::uint32_t maximum_extended_leaf() const { return ranges_[2].last; }

    // One stored answer: `fixed` where `live` has 0 bits, the real CPUID where it has 1 bits; the two never overlap.
    struct Entry {
        arch::CpuidRegisters fixed;
        arch::CpuidRegisters live;
        bool has_subleaves = false;   // false: the leaf ignores ECX
        bool repeats_subleaf = false; // ECX[7:0] of the answer is that of the question (leaves 0xB, 0x1F)
    };
    [[nodiscard]] const std::map<arch::CpuidKey, Entry>& entries() const { return entries_; }
    // What a subleaf that is not in entries() answers, by leaf; zeros for a leaf that is not here either.
    [[nodiscard]] const std::map<std::uint32_t, Entry>& other_subleaves() const { return other_subleaves_; }

    // Leaves within one of these answer from the table, or zeros; all others are above a maximum. An empty range
    // has last < first. Basic, hypervisor, extended, Centaur.
    struct Range {
        std::uint32_t first = 1;
        std::uint32_t last = 0;
    };
    [[nodiscard]] const std::array<Range, 4>& ranges() const { return ranges_; }
    // Above a maximum, Intel's CPUs give the data of the highest basic leaf, AMD's and Hygon's give zeros.
    [[nodiscard]] bool above_maximum_repeats_highest() const { return above_maximum_repeats_highest_; }

   private:
    [[nodiscard]] bool in_range(std::uint32_t leaf) const;

    std::map<arch::CpuidKey, Entry> entries_;
    std::map<std::uint32_t, Entry> other_subleaves_;
    std::array<Range, 4> ranges_;
    bool above_maximum_repeats_highest_ = false;
};

}  // namespace cpulevel::cpuid
