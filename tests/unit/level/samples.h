// Nodes for the tests: made by hand, so that each test says what its machines are like.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "level/meet.h"
#include "profile/node_profile.h"

namespace cpulevel::level::test {

inline constexpr std::uint64_t kAvx = 0x7, kAvx512 = 0xE7, kAvx512Pku = 0x2E7;

[[nodiscard]] const arch::FeatureTable& x86();
[[nodiscard]] arch::FeatureId id(std::string_view name, const arch::FeatureTable& table = x86());
[[nodiscard]] arch::FeatureSet set_of(std::initializer_list<std::string_view> names,
                                      const arch::FeatureTable& table = x86());

// An XSAVE layout as this vendor's processors have it, for the components of xcr0.
[[nodiscard]] profile::XsaveLayout intel_layout(std::uint64_t xcr0);
[[nodiscard]] profile::XsaveLayout amd_layout(std::uint64_t xcr0);

// A machine that offers the features of a named level and the others, with all of it in a CPUID dump and HWCAP words.
struct NodeSpec {
    std::string name;
    std::string_view level = "x86-64-v2";
    std::initializer_list<std::string_view> more = {};
    std::initializer_list<std::string_view> without = {};  // exactly these bits, no closure
    std::optional<profile::XsaveLayout> xsave = std::nullopt;
    std::optional<std::uint64_t> signal_stack = 2632;
    std::string vendor = "GenuineIntel";
};
[[nodiscard]] profile::NodeProfile node(const NodeSpec& spec);
// Writes dump and HWCAP words anew from the node's features.
void refresh(profile::NodeProfile& profile);

[[nodiscard]] profile::NodeProfile arm_node(std::string name, std::initializer_list<std::string_view> features);

// The level, or a failed test.
[[nodiscard]] Meet must_meet(const std::vector<profile::NodeProfile>& nodes, const MeetOptions& options = {});
[[nodiscard]] const Loss* loss_of(const Meet& meet, std::string_view name, const arch::FeatureTable& table = x86());

}  // namespace cpulevel::level::test
