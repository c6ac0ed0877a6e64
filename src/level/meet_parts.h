// The parts of a meet, one file each; meet.cpp puts them together. Internal to this room.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "level/level.h"
#include "level/meet.h"
#include "profile/node_profile.h"

namespace cpulevel::level {

using Nodes = std::span<const profile::NodeProfile>;

// --- meet_features.cpp: the set of features, and why the others are not in it
struct FeatureMeet {
    arch::FeatureSet features;      // closed, without NEVER
    arch::FeatureSet undetermined;
    std::vector<Loss> losses;
};
[[nodiscard]] FeatureMeet meet_features(const arch::FeatureTable& table, Nodes nodes, const MeetOptions& options,
                                        std::vector<std::string>& warnings);
// Features that nothing can hide and that the nodes do not share (inheritance.md, HINT space): name and nodes.
[[nodiscard]] std::vector<std::string> unmaskable_differences(const arch::FeatureTable& table, Nodes nodes);

// --- meet_words.cpp: auxiliary vector and registers
[[nodiscard]] std::array<std::optional<std::uint64_t>, 4> meet_hwcap(const arch::FeatureTable& table, Nodes nodes,
                                                                     const arch::FeatureSet& features);
[[nodiscard]] std::optional<Largest> meet_signal_stack(arch::Architecture architecture, Nodes nodes,
                                                       std::vector<std::string>& warnings);
[[nodiscard]] std::optional<std::string> meet_platform(Nodes nodes, std::size_t chosen,
                                                       std::vector<std::string>& warnings);
[[nodiscard]] Result<std::map<std::string, std::uint64_t>> meet_registers(Nodes nodes, const MeetOptions& options,
                                                                          std::vector<std::string>& warnings);
// Whether a register's rule is MIN; else it is EQUAL in the bits of register_mask.
[[nodiscard]] bool is_minimum_register(std::string_view name);
// The bits of an EQUAL register that change what programs do.
[[nodiscard]] std::uint64_t register_mask(std::string_view name);

// --- meet_cpuid.cpp: the CPUID table
// `chosen` may be null (no node's description has a dump): NAMED fields are then absent.
[[nodiscard]] arch::CpuidDump meet_cpuid(const arch::FeatureTable& table, const Level& level,
                                         std::span<const arch::CpuidDump* const> dumps, const arch::CpuidDump* chosen,
                                         std::vector<std::string>& warnings);

}  // namespace cpulevel::level
