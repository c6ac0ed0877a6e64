// What raw values mean: from the CPUID dumps of a node's CPUs, XCR0 and HWCAP words to groups, XSAVE layout, features
// and notes. Pure, and used by every road that leads to a NodeProfile (probe, importers, our JSON), so that the same
// raw values give the same profile whoever read them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/cpuid_dump.h"
#include "arch/feature.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::profile {

// No real state area comes near (Sapphire Rapids with AMX: 11,008 bytes); more is a damaged description.
inline constexpr std::uint32_t kMaximumXsaveSize = 1U << 20U;  // bytes
inline constexpr unsigned kMaximumXsaveComponent = 62;         // bit 63 of XCR0 is reserved (SDM vol. 1 13.3)

// Sorts CPUs into groups with the same CPUID, LIVE fields (arch table: APIC ids, topology) apart.
class CpuCollector {
   public:
    void add(unsigned cpu, const arch::CpuidDump& dump);
    [[nodiscard]] std::size_t entries() const { return entries_; }  // stored registers sets, over all groups
    [[nodiscard]] std::vector<CpuGroup> groups() const;             // in the order of their first CPU

   private:
    struct Group {
        std::vector<unsigned> cpus;
        arch::CpuidDump dump;
    };
    std::map<arch::CpuidDump, std::size_t, bool (*)(const arch::CpuidDump&, const arch::CpuidDump&)> index_{
        [](const arch::CpuidDump& a, const arch::CpuidDump& b) { return less(a, b); }};
    std::vector<Group> groups_;
    std::size_t entries_ = 0;

    static bool less(const arch::CpuidDump& a, const arch::CpuidDump& b);
};

[[nodiscard]] arch::CpuidDump without_live_fields(arch::CpuidDump dump);

// Leaf 0xD as a layout. `enabled`: XCR0 as XGETBV gave it. Without it the layout is for everything that the CPU
// supports: subleaf 0 EBX tells the size for what the *describing* system had enabled (a firmware's tool sees 576
// bytes), so ECX is taken, which no system can exceed. Nothing where the dump does not tell. Absurd sizes and
// component numbers are errors.
[[nodiscard]] Result<std::optional<XsaveLayout>> xsave_layout(const arch::CpuidDump& dump,
                                                              std::optional<std::uint64_t> enabled);

// The x86 features on which the dump has a word: their bit is in it, or the dump's own limits say that the leaf or
// subleaf does not exist.
[[nodiscard]] arch::FeatureSet known_from_cpuid(const arch::CpuidDump& dump);

struct Derived {
    arch::FeatureSet features;
    arch::FeatureSet known;
};

// Usable features: the meet over the groups, what XCR0 enables and what the HWCAP words, where present, also say.
[[nodiscard]] Derived derive_features(arch::Architecture architecture, std::span<const CpuGroup> cpus,
                                      std::optional<std::uint64_t> xcr0,
                                      std::span<const std::optional<std::uint64_t>> hwcap);

// Fills in identity, hypervisor, xsave, features, known and the notes about differences, from `cpus` and `hwcap`.
[[nodiscard]] Result<void> complete_x86(NodeProfile& profile, std::optional<std::uint64_t> enabled_xcr0);

// Names of the members, sorted.
[[nodiscard]] std::vector<std::string> names(arch::Architecture architecture, const arch::FeatureSet& set);

}  // namespace cpulevel::profile
