#include "report/collect.h"

#include <gtest/gtest.h>

namespace cpulevel::report {
namespace {

const arch::FeatureTable& table() { return arch::table(arch::Architecture::aarch64); }

profile::NodeProfile node(std::string name, std::initializer_list<std::string_view> features) {
    profile::NodeProfile node;
    node.name = std::move(name);
    node.architecture = arch::Architecture::aarch64;
    node.identity.brand = " A CPU ";
    for (const std::string_view feature : features) node.features.insert(table().find(feature).value());
    node.known = table().all();
    return node;
}

Report report_of(std::span<const profile::NodeProfile> nodes) {
    const fleet::Fleet fleet = merge_alike(fleet::group(nodes));
    const auto meet = level::meet(nodes);
    EXPECT_TRUE(meet.has_value());
    return collect(*meet, fleet, {}, {});
}

TEST(Collect, NodesThatDifferInNothingALevelIsMadeOfAreOneType) {
    std::vector<profile::NodeProfile> nodes = {node("a", {"fp", "asimd"}), node("b", {"fp", "asimd"}), node("c", {"fp", "asimd", "aes"})};
    nodes[1].identity.stepping = 7;
    nodes[1].origin = "scan";
    const Report report = report_of(nodes);
    ASSERT_EQ(report.types.size(), 2U);
    EXPECT_EQ(report.types[0].nodes, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(report.types[0].count, 2U);
    EXPECT_EQ(report.types[0].cpu, "A CPU");
    EXPECT_EQ(report.types[1].nodes, std::vector<std::string>{"c"});
}

TEST(Collect, WhatIsNotToldIsAnotherType) {
    std::vector<profile::NodeProfile> nodes = {node("a", {"fp"}), node("b", {"fp"})};
    nodes[1].known = nodes[1].features;
    EXPECT_EQ(report_of(nodes).types.size(), 2U);
}

TEST(Collect, WhatATypeAloneCostsAndTheWayUp) {
    const std::vector<profile::NodeProfile> nodes = {node("a", {"fp", "asimd"}), node("b", {"fp", "asimd", "aes"}),
                                                     node("c", {"fp", "asimd", "aes", "sha2", "crc32"})};
    const Report report = report_of(nodes);
    ASSERT_EQ(report.types.size(), 3U);
    EXPECT_TRUE(report.types[0].gained_without.contains(table().find("aes").value()));
    EXPECT_FALSE(report.types[0].gained_without.contains(table().find("crc32").value()));
    EXPECT_TRUE(report.types[1].gained_without.empty());
    ASSERT_FALSE(report.steps.empty());
    EXPECT_TRUE(report.steps.back().gained.contains(table().find("crc32").value()));
    EXPECT_EQ(report.steps.back().types.size(), 2U);
}

TEST(Collect, SwitchedOffIsSeen) {
    std::vector<profile::NodeProfile> nodes = {node("a", {"fp"}), node("b", {"fp", "aes"})};
    auto meet = level::meet(nodes);
    ASSERT_TRUE(meet.has_value());
    for (level::Loss& loss : meet->losses) loss.switched_off = {"a"};
    const Report report = collect(*meet, merge_alike(fleet::group(nodes)), {}, {});
    EXPECT_TRUE(report.types[0].switched_off.contains(table().find("aes").value()));
    EXPECT_FALSE(report.types[1].switched_off.contains(table().find("aes").value()));
}

}  // namespace
}  // namespace cpulevel::report
