// The page as text. What a browser makes of it: tests/report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "report/report.h"
#include "report/sections.h"

namespace cpulevel::report {
namespace {

using testing::HasSubstr;

constexpr std::size_t kLargestPage = 2'000'000;  // bytes, whatever the fleet

arch::FeatureSet features(const arch::FeatureTable& table, std::initializer_list<std::string_view> names) {
    arch::FeatureSet set;
    for (const std::string_view name : names) set.insert(table.find(name).value());
    return set;
}

NodeType type_of(std::string cpu, std::vector<std::string> nodes, const arch::FeatureSet& set) {
    NodeType type{.cpu = std::move(cpu), .count = nodes.size(), .nodes = std::move(nodes)};
    type.features = set;
    type.known = arch::table(arch::Architecture::x86_64).all();
    return type;
}

// Two types; the first lacks avx2, which costs the other one.
Report two_types() {
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    Report report;
    report.level.name = "fleet";
    report.level.features = features(table, {"fpu", "sse2"});
    const arch::FeatureId avx2 = table.find("avx2").value();
    level::Loss loss;
    loss.feature = avx2;
    loss.lacking = {"old1"};
    report.losses = {loss};
    report.types = {type_of("Old chip", {"old1"}, features(table, {"fpu", "sse2"})),
                    type_of("New chip", {"new1", "new2"}, features(table, {"fpu", "sse2", "avx2"}))};
    report.types[0].gained_without = features(table, {"avx2"});
    return report;
}

// Not HasSubstr: what it prints when it fails is the page.
bool holds(std::string_view html, std::string_view part) { return html.find(part) != std::string_view::npos; }

std::size_t occurrences(std::string_view text, std::string_view what) {
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++count;
    return count;
}

nlohmann::json data_of(const std::string& html) {
    constexpr std::string_view begin = R"(<script type="application/json" id="data">)";
    const auto at = html.find(begin) + begin.size();
    return nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at));
}

TEST(Page, SaysWhatWhoAndHowMuch) {
    const std::string html = page(two_types());
    EXPECT_TRUE(holds(html, "all 3 nodes (2 CPU types)"));
    EXPECT_TRUE(holds(html, "<b>1 feature</b> that some node has"));
    EXPECT_TRUE(holds(html, "<b>Old chip</b> (1 node, 33% of the fleet)"));
    EXPECT_TRUE(holds(html, R"(<tr id="f-avx2" class="lost" data-f=)"));
    EXPECT_TRUE(holds(html, "<td class=l>lost<td class=n>✕<td class=y>✓"));
    EXPECT_TRUE(holds(html, "new[1,2]"));
}

TEST(Page, TheSameReportIsTheSamePage) { EXPECT_EQ(page(two_types()), page(two_types())); }

TEST(Page, NothingAskedOfANetwork) {
    const std::string html = page(two_types());
    EXPECT_FALSE(holds(html, "http:"));
    EXPECT_FALSE(holds(html, "https:"));
    EXPECT_FALSE(holds(html, "@import"));
    EXPECT_TRUE(holds(html, "default-src 'none'; script-src 'sha256-"));
}

TEST(Page, HostileNamesStayText) {
    const std::string evil = "</script><script>pwn()</script><img src=x onerror=pwn()>\"'`{{data}}\x01\u202e\xff";
    Report report = two_types();
    report.level.name = evil;
    report.level.warnings = {evil};
    report.types[0].cpu = evil;
    report.types[0].nodes = {evil};
    report.types[1].cpu = evil;  // a second type of that name
    report.losses[0].detail = evil;
    report.xsave_area = level::Largest{.bytes = 1, .node = evil};
    report.made = report.version = evil;
    report.splits = {{.pools = {{.types = {0}}, {.types = {1}}}}};
    const std::string html = page(report);
    EXPECT_EQ(occurrences(html, "<script"), 2U);
    EXPECT_EQ(occurrences(html, "</script"), 2U);
    EXPECT_EQ(occurrences(html, "<img"), 0U);
    for (const char c : html) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
    EXPECT_EQ(html.find("\u202e"), std::string::npos);
    EXPECT_NO_THROW((void)nlohmann::json(html).dump()) << "not UTF-8";
    EXPECT_THAT(data_of(html)["types"][0]["lines"].get<std::string>(), HasSubstr("</script><script>pwn()"));
}

TEST(Page, OneNode) {
    Report report = two_types();
    report.losses.clear();
    report.types.erase(report.types.begin());
    report.level.features = report.types[0].features;
    report.types[0].nodes = {"only"};
    report.types[0].count = 1;
    const std::string html = page(report);
    EXPECT_TRUE(holds(html, "the one node"));
    EXPECT_TRUE(holds(html, "Nothing is lost."));
    EXPECT_TRUE(holds(html, "There is one CPU type."));
}

TEST(Page, EveryArchitecture) {
    for (const arch::Architecture architecture : arch::architectures()) {
        Report report;
        report.level.name = "all";
        report.level.architecture = architecture;
        NodeType type{.cpu = "a CPU", .count = 1, .nodes = {"n"}};
        type.features = type.known = report.level.features = arch::table(architecture).all();
        report.types = {type};
        EXPECT_TRUE(holds(page(report), arch::name(architecture))) << arch::name(architecture);
    }
}

// 100,000 nodes: numbered names all stay, random ones that would make the page too large are counted.
TEST(Page, ALargeFleetStaysSmall) {
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    Report report = two_types();
    report.types.clear();
    for (int t = 0; t < 500; ++t) {
        std::vector<std::string> names;
        for (int i = 0; i < 200; ++i) names.push_back("node" + std::to_string(t * 200 + i) + ".rack" + std::to_string(t));
        report.types.push_back(type_of("Intel(R) Xeon(R) CPU number " + std::to_string(t), std::move(names), table.all()));
    }
    const std::string numbered = page(report);
    EXPECT_LT(numbered.size(), kLargestPage);
    const nlohmann::json all = data_of(numbered);
    for (const auto& type : all.at("types")) EXPECT_FALSE(type.contains("missing"));
    EXPECT_TRUE(holds(numbered, "436 other types"));

    std::mt19937_64 random(3);
    for (NodeType& type : report.types) {
        for (std::string& name : type.nodes) {
            name = "ip-";
            for (int i = 0; i < 24; ++i) name += "0123456789abcdef"[random() % 16];
        }
    }
    const std::string scattered = page(report);
    EXPECT_LT(scattered.size(), kLargestPage);
    std::size_t missing = 0;
    const nlohmann::json some = data_of(scattered);
    for (const auto& type : some.at("types")) missing += type.value("missing", std::size_t{0});
    EXPECT_GT(missing, 0U);
    EXPECT_LT(missing, 100'000U);
}

// What a description does not tell is not lost to a CPU type, and nobody is said to lack it.
TEST(Page, WhatIsNotToldIsNobodysLoss) {
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    Report report = two_types();
    report.types.erase(report.types.begin());
    report.types[0].known = report.types[0].features | features(table, {"sse3"});
    report.losses[0].reason = level::LossReason::unknown;
    report.losses[0].lacking.clear();
    report.losses[0].undescribed = {"new1"};
    report.losses[0].detail = "the XSAVE layout of new1 is not told";
    level::Loss dependent;
    dependent.feature = table.find("vaes").value();
    dependent.reason = level::LossReason::closure;
    dependent.missing_needs = {report.losses[0].feature};
    report.losses.push_back(dependent);
    const std::string html = page(report);
    EXPECT_TRUE(holds(html, "There is one CPU type."));
    EXPECT_FALSE(holds(html, "lost to several CPU types"));
    EXPECT_TRUE(holds(html, "<b>2</b> hidden because a description does not tell enough"));
    // Every type tells that it has AVX2: what is missing is the layout.
    EXPECT_TRUE(holds(html, "<td class=l>layout not told"));
    // x86-64 is not told of (cmov); x86-64-v2 cannot be reached without SSE3.
    EXPECT_TRUE(holds(html, "<span>x86-64</span>"));
    EXPECT_TRUE(holds(html, "<b>?</b><span class=\"not quiet\">not known of 2 nodes</span>"));
    EXPECT_EQ(occurrences(html, "not known of 2 nodes"), 1U);
}

TEST(ShortCpu, LeavesOutWhatSaysNothing) {
    EXPECT_EQ(short_cpu("Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz"), "Xeon E5-2680 v3");
    EXPECT_EQ(short_cpu("AMD EPYC 7763 64-Core Processor"), "EPYC 7763");
    EXPECT_EQ(short_cpu("Neoverse-N1"), "Neoverse-N1");
    EXPECT_EQ(short_cpu("AMD Processor"), "AMD Processor");
    EXPECT_EQ(short_cpu(""), "");
}

}  // namespace
}  // namespace cpulevel::report
