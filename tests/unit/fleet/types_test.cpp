#include "fleet/types.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "random_fleet.h"

namespace cpulevel::fleet::test {
namespace {

using profile::NodeProfile;

TEST(Types, WhatChangesNoLevelMakesNoType) {
    std::mt19937 random(1);
    const NodeProfile a = random_node(random, "a");
    NodeProfile b = a;
    b.name = "b";
    b.kernel = "6.9.1";
    b.hypervisor = "KVMKVMKVM";
    b.notes = {"something else"};
    b.cpuid_faulting = true;
    b.cpus.front().cpus = "0-127";
    b.cpus.front().cpuid[{1, 0}].ebx |= 0x45000000;  // the APIC id
    EXPECT_EQ(type_key(a), type_key(b));
}

// Everything else does: each change alone makes another key.
TEST(Types, EverythingElseMakesAType) {
    std::mt19937 random(2);
    NodeProfile a = level::test::node({.name = "a", .level = "x86-64-v3", .xsave = level::test::intel_layout(level::test::kAvx512Pku)});
    a.registers["SOMETHING"] = 1;
    std::vector<std::function<void(NodeProfile&)>> changes{
        [](NodeProfile& n) { n.origin = "cpuid -r"; },
        [](NodeProfile& n) { n.identity.vendor = "AuthenticAMD"; },
        [](NodeProfile& n) { n.identity.brand += "!"; },
        [](NodeProfile& n) { n.identity.family += 1; },
        [](NodeProfile& n) { n.identity.model += 1; },
        [](NodeProfile& n) { n.identity.stepping += 1; },
        [](NodeProfile& n) { n.hwcap[0] = *n.hwcap[0] ^ 1U; },
        [](NodeProfile& n) { n.hwcap[1].reset(); },
        [](NodeProfile& n) { n.hwcap[2] = 0; },
        [](NodeProfile& n) { n.minimum_signal_stack = 1; },
        [](NodeProfile& n) { n.minimum_signal_stack.reset(); },
        [](NodeProfile& n) { n.page_size = 65536; },
        [](NodeProfile& n) { n.platform.reset(); },
        [](NodeProfile& n) { n.platform = ""; },
        [](NodeProfile& n) { n.registers["SOMETHING"] = 2; },
        [](NodeProfile& n) { n.registers["ANOTHER"] = 1; },
        [](NodeProfile& n) { n.cpus.front().cpuid[{7, 0}].edx ^= 0x80000000; },
        [](NodeProfile& n) { n.cpus.front().cpuid[{0x99, 0}] = {}; },
        [](NodeProfile& n) { n.cpus.push_back(n.cpus.front()); },
        [](NodeProfile& n) { n.cpus.clear(); },
        [](NodeProfile& n) { n.xsave.reset(); },
        [](NodeProfile& n) { n.xsave->xcr0 ^= 0x200; },
        [](NodeProfile& n) { n.xsave->xcr0_enabled = false; },
        [](NodeProfile& n) { n.xsave->standard_size += 1; },
        [](NodeProfile& n) { n.xsave->maximum_size += 1; },
        [](NodeProfile& n) { n.xsave->compacted_size += 1; },
        [](NodeProfile& n) { n.xsave->components[5].offset += 64; },
        [](NodeProfile& n) { n.xsave->components[5].size += 64; },
        [](NodeProfile& n) { n.xsave->components[5].aligned = true; },
        [](NodeProfile& n) { n.xsave->components[5].supervisor = true; },
        [](NodeProfile& n) { n.xsave->components.erase(9); },
        [](NodeProfile& n) { n.features.erase(id("sse")); },
        [](NodeProfile& n) { n.known.erase(id("amx_tile")); },
    };
    std::set<std::string> keys{type_key(a)};
    for (std::size_t i = 0; i < changes.size(); ++i) {
        NodeProfile b = a;
        changes[i](b);
        EXPECT_TRUE(keys.insert(type_key(b)).second) << "change " << i;
    }
}

TEST(Types, CountsAndNames) {
    std::mt19937 random(3);
    const NodeProfile a = random_node(random, "a"), b = random_node(random, "b");
    NodeProfile c = a;
    c.name = "c";
    const std::vector<NodeProfile> nodes{a, b, c};
    const Fleet fleet = group(nodes);
    ASSERT_EQ(fleet.types.size(), 2U);
    EXPECT_EQ(fleet.types[0].count, 2U);
    EXPECT_EQ(fleet.types[0].nodes, (std::vector<std::string>{"a", "c"}));
    EXPECT_EQ(fleet.types[0].label(), "a (+1)");
    EXPECT_EQ(fleet.types[1].label(), "b");
    EXPECT_EQ(fleet.node_count(), 3U);
}

// The level of a fleet is the level of its types: levels made of all nodes and of one of each type are the same.
TEST(Types, TheMeetOfTheTypesIsTheMeetOfTheNodes) {
    std::mt19937 random(4);
    for (int round = 0; round < 30; ++round) {
        std::vector<NodeProfile> kinds, nodes;
        for (int i = 0; i < 3; ++i) kinds.push_back(random_node(random, "kind", 85));
        for (int i = 0; i < 12; ++i) {
            nodes.push_back(kinds[random() % kinds.size()]);
            nodes.back().name = "node" + std::to_string(i);
            nodes.back().kernel = std::to_string(random());
        }
        const auto of_nodes = level::test::must_meet(nodes).level;
        const auto of_types = level::test::must_meet(representatives(group(nodes))).level;
        EXPECT_EQ(of_nodes.features, of_types.features);
        EXPECT_EQ(of_nodes.cpuid, of_types.cpuid);
        EXPECT_EQ(of_nodes.hwcap, of_types.hwcap);
        EXPECT_EQ(of_nodes.minimum_signal_stack, of_types.minimum_signal_stack);
        EXPECT_EQ(of_nodes.undetermined, of_types.undetermined);
        EXPECT_EQ(of_nodes.enabled_components, of_types.enabled_components);
        EXPECT_EQ(of_nodes.identity, of_types.identity);
    }
}

}  // namespace
}  // namespace cpulevel::fleet::test
