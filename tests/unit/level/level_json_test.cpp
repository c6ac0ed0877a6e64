#include "level/level_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "level/expression.h"
#include "samples.h"
#include "../source_folder.h"

namespace cpulevel::level::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json sample() {
    return json::parse(to_json(must_meet({node({.name = "a", .level = "x86-64-v3", .xsave = intel_layout(kAvx)}),
                                          node({.name = "b", .level = "x86-64-v4", .xsave = intel_layout(kAvx512)})})
                                   .level));
}

Error refused(const json& file) {
    auto level = from_json(file.dump(), "level.json");
    EXPECT_FALSE(level);
    return level ? Error{} : level.error();
}

TEST(LevelJson, RoundTrip) {
    const auto level = from_json(sample().dump(), "level.json");
    ASSERT_TRUE(level) << level.error().message();
    EXPECT_EQ(json::parse(to_json(*level)), sample());
    EXPECT_EQ(level->nodes.size(), 2U);
    EXPECT_EQ(level->xsave->standard_size, 2688U);
    EXPECT_EQ(level->xsave->largest_node, "b");
}

TEST(LevelJson, NewerSchemaIsNamedAsSuch) {
    json file = sample();
    file["schema"] = "cpulevel/level/3";
    file["something"] = "new";
    const Error error = refused(file);
    EXPECT_EQ(error.on, "level.json: schema");
    EXPECT_THAT(error.why, HasSubstr("newer"));
    file["schema"] = "cpulevel/profile/1";
    EXPECT_THAT(refused(file).hint, HasSubstr("baseline"));
}

TEST(LevelJson, UnknownNamesAreRefusedWithTheirPlace) {
    json file = sample();
    file["features"][3] = "avx3";
    EXPECT_EQ(refused(file).on, "level.json: features[3]");
    file = sample();
    file["hidden"] = json::array();
    EXPECT_EQ(refused(file).on, "level.json: hidden");
    file = sample();
    file["architecture"] = "sparc";
    EXPECT_EQ(refused(file).on, "level.json: architecture");
}

TEST(LevelJson, EachMemberIsMissedOrNeedless) {
    const std::set<std::string> optional{"minimum_signal_stack", "platform", "enabled_components", "identity"};
    const json file = sample();
    for (const auto& [key, value] : file.items()) {
        json without = file;
        without.erase(key);
        const auto level = from_json(without.dump(), "level.json");
        EXPECT_EQ(level.has_value(), optional.contains(key)) << key;
        json wrong = file;
        wrong[key] = 1.5;
        EXPECT_FALSE(from_json(wrong.dump(), "level.json")) << key;
    }
}

TEST(LevelJson, ContradictionsAreRefused) {
    json file = sample();
    auto& features = file["features"];
    features.erase(std::ranges::find(features, "avx"));
    EXPECT_THAT(refused(file).why, HasSubstr("avx2"));  // not closed

    file = sample();
    for (auto& leaf : file["cpuid"]) {
        if (leaf["leaf"] == "0x00000007" && leaf["subleaf"] == "0x00000000") leaf["ebx"] = "0xffffffff";
    }
    EXPECT_THAT(refused(file).why, HasSubstr("shown by CPUID"));

    file = sample();
    file["hwcap"]["AT_HWCAP"]["value"] = "0xffffffff";
    EXPECT_THAT(refused(file).why, HasSubstr("shown by HWCAP"));

    file = sample();
    file["xsave"]["standard_size"] = 2000;
    EXPECT_THAT(refused(file).why, HasSubstr("2000"));  // small leaf 0xD and OSXSAVE: the deadly combination

    file = sample();
    file["xsave"]["visible"] = "0xe7";
    EXPECT_THAT(refused(file).why, HasSubstr("component 5"));
}

TEST(LevelJson, DamagedTextNeverPasses) {
    const std::string text = sample().dump();
    for (std::size_t cut = 0; cut < text.size(); cut += 37) {
        EXPECT_FALSE(from_json(text.substr(0, cut), "level.json")) << cut;
    }
    EXPECT_FALSE(from_json("[]", "level.json"));
    EXPECT_FALSE(from_json(std::string(100000, '['), "level.json"));
    EXPECT_FALSE(from_json(R"({"schema":"cpulevel/level/1","schema":"cpulevel/level/1"})", "level.json"));
}

// The published schema names exactly the members that are written, and asks for exactly those that the reader needs.
TEST(LevelJson, SchemaFileAgreesWithTheWriter) {
    std::ifstream stream(::cpulevel::test::source_folder() + "/data/schema/level.schema.json");
    ASSERT_TRUE(stream);
    const json schema = json::parse(stream);
    const json file = sample();
    const auto check = [&](const json& part, const json& described, const std::string& where) {
        EXPECT_EQ(described.at("additionalProperties"), false) << where;
        for (const auto& [key, value] : part.items()) EXPECT_TRUE(described.at("properties").contains(key)) << where << key;
        for (const auto& key : described.at("required")) EXPECT_TRUE(part.contains(key)) << where << key;
    };
    check(file, schema, "root ");
    const json& properties = schema.at("properties");
    check(file["xsave"], properties.at("xsave"), "xsave ");
    check(file["identity"], properties.at("identity"), "identity ");
    check(file["minimum_signal_stack"], properties.at("minimum_signal_stack"), "minimum_signal_stack ");
    check(file["cpuid"][0], properties.at("cpuid").at("items"), "cpuid ");
    check(file["nodes"][0], properties.at("nodes").at("items"), "nodes ");
    EXPECT_EQ(properties.at("schema").at("enum").at(0), kLevelSchema);
}

}  // namespace
}  // namespace cpulevel::level::test
