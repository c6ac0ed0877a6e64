// The XSAVE rules of a level: how much a program must reserve, and which components may be known to it.
//
// What XSAVE writes depends on XCR0, which nobody can hide from a process (XGETBV is not trapped). glibc asks CPUID
// leaf 0xD for the size once, at start, and reserves that much stack in _dl_runtime_resolve_xsave* for ever after. A
// program that was started where the area is small and moved to where it is large writes past its buffer. So a level
// either hides OSXSAVE, and with it the whole of leaf 0xD, or promises the largest area of all nodes (MAX).
//
// Where a component stands in the standard format is a property of the CPU (AVX-512 at 1088 on Intel, at 832 on AMD).
// A component of which the nodes disagree cannot be in a level (EQUAL): the features that use it are hidden.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "level/level.h"
#include "level/meet.h"
#include "profile/node_profile.h"

namespace cpulevel::level {

inline constexpr std::uint64_t kLegacyComponents = 3;  // x87 and SSE: in the legacy region of every XSAVE area
inline constexpr unsigned kAvxComponent = 2;
// The legacy region (512) and the XSAVE header (64): where component 2 starts on every CPU (SDM vol. 1, 13.4).
inline constexpr std::uint32_t kFirstComponentOffset = 576;

// What one node's system can make XSAVE write.
struct NodeArea {
    bool in_use = false;                            // the system enables XSAVE, or the description does not deny it
    const profile::XsaveLayout* layout = nullptr;   // where the description gives one with sizes
    std::uint32_t standard = 0;                     // bytes; 0 with in_use: not known
    std::uint32_t compacted = 0;                    // bytes; 0: no XSAVEC or not known
};
[[nodiscard]] NodeArea area_of(const arch::FeatureTable& table, const profile::NodeProfile& node);

// XCR0 components that the members of the set need, with the legacy ones.
[[nodiscard]] std::uint64_t components_of(const arch::FeatureTable& table, const arch::FeatureSet& set);

// Why a component cannot be visible; nothing if all nodes that use XSAVE agree about it.
struct LayoutConflict {
    unsigned component = 0;
    bool unknown = false;                    // some node's description does not give the place
    std::vector<std::string> undescribed;    // those nodes
    std::string detail;                      // "XSAVE component 5 (...) is at 1088 on a, at 832 on b"
};
[[nodiscard]] std::optional<LayoutConflict> layout_conflict(const arch::FeatureTable& table,
                                                            std::span<const profile::NodeProfile> nodes,
                                                            unsigned component);

// The largest standard-format area; absent if no node uses XSAVE. Adds a warning for each node that stands in for.
[[nodiscard]] std::optional<Largest> largest_area(const arch::FeatureTable& table,
                                                  std::span<const profile::NodeProfile> nodes,
                                                  std::vector<std::string>& warnings);

// Fills level.xsave for the level's features; OSXSAVE is in them and the visible components agree.
void fill_xsave(const arch::FeatureTable& table, std::span<const profile::NodeProfile> nodes, const Largest& area,
                Level& level);

// Leaf 0xD of a level: subleaf 0 by MAX, the components; the feature bits of subleaf 1 are set by the feature rules.
void write_leaf_d(const LevelXsave& xsave, arch::CpuidDump& cpuid);

}  // namespace cpulevel::level
