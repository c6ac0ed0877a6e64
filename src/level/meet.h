// The meet of node profiles: the level that a program may be shown so that it runs on each of the nodes, and the
// account of what was lost on the way. Each value has its rule (arch::Rule; docs/levelling.md): a level is not one AND.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::level {

struct MeetOptions {
    std::string name;          // of the level; empty: "meet of A, B"
    std::size_t chosen = 0;    // index of the node whose vendor, model and brand the level shows (rule NAMED)
    arch::FeatureSet allow;    // NEVER features that the user turned on by name; shown where every node has them
    bool keep_cpuid = false;   // arm64: keep HWCAP_CPUID (NEVER: it invites programs to read ID registers)
    bool accept_unmaskable = false;  // go on, with a warning, where nodes differ in a feature that nothing can hide
};

enum class LossReason : std::uint8_t {
    absent,      // some node has it not (or has it switched off)
    unknown,     // no node lacks it, but some node's description does not say
    closure,     // every node has it, but not what it needs
    never,       // not shown, whoever has it (rule NEVER)
    layout,      // the nodes keep its state at different places (rule EQUAL)
    consistency, // it would contradict what the level shows elsewhere: the detail says what
};
[[nodiscard]] std::string_view name(LossReason reason);

// One feature that some node has and the level has not.
struct Loss {
    arch::FeatureId feature;
    LossReason reason = LossReason::absent;
    std::vector<std::string> lacking;           // nodes that lack it
    std::vector<std::string> switched_off;      // of those: the CPU has it, the system does not enable it
    std::vector<std::string> undescribed;       // nodes whose description does not say
    std::vector<arch::FeatureId> missing_needs; // closure: the needs that the level has not
    std::string detail;                         // in words, values included; may be empty
};

// A value with rule MAX, and the node that it comes from.
struct Largest {
    std::uint64_t bytes = 0;
    std::string node;   // "data" where a node's own value is not known and the largest known one stands in
};

struct Meet {
    Level level;
    std::vector<Loss> losses;               // in the order of the feature table
    std::optional<Largest> xsave_area;      // x86: the largest standard-format area, also where OSXSAVE is hidden
    std::optional<Largest> signal_stack;    // AT_MINSIGSTKSZ
};

// Errors (refused): no nodes, nodes of several architectures, registers with rule EQUAL that differ, features in
// HINT space that differ; each names the nodes.
[[nodiscard]] Result<Meet> meet(std::span<const profile::NodeProfile> nodes, const MeetOptions& options = {});

// A level as if it were a machine that offers exactly it: so that levels can be met and compared like nodes.
[[nodiscard]] profile::NodeProfile as_node(const Level& level);

}  // namespace cpulevel::level
