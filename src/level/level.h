// Level: the meet of node profiles, or a named level: what a program may be shown so that it runs on each of the
// nodes. JSON "cpulevel/level/1" (data/schema/level.schema.json). Rules: docs/levelling.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "profile/node_profile.h"

namespace cpulevel::level {

struct LevelNode {
    std::string name;
    std::string origin;
    std::string brand;
};

// What CPUID leaf 0xD promises (MAX and UNION rules): programs reserve this much, whatever node they are on.
struct LevelXsave {
    std::uint64_t visible = 0;         // components that a program of this level may know of (XCR0 layout)
    std::uint32_t standard_size = 0;   // bytes: the largest standard-format area of all nodes
    std::uint32_t compacted_size = 0;  // bytes: the largest compacted area; 0 with XSAVEC hidden
    std::map<unsigned, profile::XsaveComponent> components;  // of the visible ones: agreed offset, largest size
    // Components that are hidden but that some node enables (UNION), with the largest size, bytes. Their subleaves
    // keep the size, so that a program that adds up sizes (glibc with XSAVEC) reserves enough; they have no agreed
    // offset and are in no bitmap.
    std::map<unsigned, profile::XsaveComponent> reserved;
    std::string largest_node;          // whose area that is; "data" for a named level
};

struct Level {
    std::string name;
    arch::Architecture architecture = arch::Architecture::x86_64;
    arch::FeatureSet features;      // closed under needs, without NEVER features (unless turned on by name)
    arch::FeatureSet undetermined;  // some node's description does not say; hidden
    std::array<std::optional<std::uint64_t>, 4> hwcap;  // what the words are ANDed with; absent: word not levelled
    std::optional<std::uint64_t> minimum_signal_stack;  // bytes, the largest of all nodes
    std::string minimum_signal_stack_node;
    std::optional<std::string> platform;                // AT_PLATFORM that the level implies, where it does
    std::map<std::string, std::uint64_t> registers;     // arm64 EQUAL/MIN values
    std::optional<LevelXsave> xsave;  // x86, when OSXSAVE is shown
    // x86: the union of what the nodes' systems enable in XCR0; signal frames are laid out by it, whatever a level
    // shows. Absent: not known of every node.
    std::optional<std::uint64_t> enabled_components;
    // x86: what CPUID answers, by leaf and subleaf; LIVE fields are zero here and filled in from the CPU; a leaf
    // that is absent answers zero. For a level without nodes, NAMED leaves are absent and taken from the machine.
    arch::CpuidDump cpuid;
    std::optional<profile::Identity> identity;  // NAMED: from the node that was chosen; absent: the machine's own
    std::vector<LevelNode> nodes;               // empty for a named level
    std::vector<std::string> warnings;          // what the level does not know or cannot promise, for people
};

}  // namespace cpulevel::level
