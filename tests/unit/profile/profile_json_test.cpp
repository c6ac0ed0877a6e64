#include "profile/profile_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "profile/derive.h"
#include "support.h"
#include "../source_folder.h"

namespace cpulevel::profile {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

NodeProfile scanned() {
    const test::FakeMachine machine({test::real_dump(), test::real_dump()});
    auto profile = probe(machine.sources);
    EXPECT_TRUE(profile);
    profile->notes = {"a note"};
    return *profile;
}

std::string error_of(const std::string& text) {
    const auto result = from_json(text, "a.json");
    return result ? "" : result.error().message();
}

TEST(ProfileJson, WhatIsWrittenReadsBackTheSame) {
    for (const NodeProfile& profile :
         {scanned(), test::imported("libcpuid_hybrid.txt"), test::imported("libcpuid_k10.txt"),
          test::imported("cpuinfo_x86.txt"), test::imported("cpuinfo_arm64.txt")}) {
        const std::string text = to_json(profile);
        const auto back = from_json(text, profile.name);
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_EQ(to_json(*back), text);
        EXPECT_EQ(back->features, profile.features);
        EXPECT_EQ(back->known, profile.known);
        EXPECT_EQ(back->identity, profile.identity);
        EXPECT_EQ(back->xsave, profile.xsave);
        EXPECT_EQ(back->hwcap, profile.hwcap);
        EXPECT_EQ(back->minimum_signal_stack, profile.minimum_signal_stack);
        EXPECT_EQ(back->cpuid_faulting, profile.cpuid_faulting);
        EXPECT_EQ(back->notes, profile.notes);
        ASSERT_EQ(back->cpus.size(), profile.cpus.size());
        for (std::size_t i = 0; i < profile.cpus.size(); ++i) {
            EXPECT_EQ(back->cpus[i].cpuid, profile.cpus[i].cpuid);
            EXPECT_EQ(back->cpus[i].cpus, profile.cpus[i].cpus);
        }
    }
}

TEST(ProfileJson, NamesThatTheWriterDidNotKnowAreFoundInTheRawValues) {
    auto old = scanned();
    const auto feature = test::id("avx512f");
    old.features.erase(feature);
    old.known.erase(feature);
    const auto read = from_json(to_json(old), "old.json");
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_TRUE(read->features.contains(feature));
    EXPECT_TRUE(read->known.contains(feature));
}

struct Bad {
    const char* what;
    std::function<void(json&)> change;
    std::string message;
};

TEST(ProfileJson, BadFilesAreRefusedWithThePlace) {
    const json good = json::parse(to_json(scanned()));
    ASSERT_EQ(error_of(good.dump()), "");
    const std::vector<Bad> cases{
        {"newer", [](json& j) { j["schema"] = "cpulevel/profile/2"; j["shiny"] = 1; }, "a.json: schema: \"cpulevel/profile/2\" is newer than this program"},
        {"level", [](json& j) { j["schema"] = "cpulevel/level/1"; }, "schema: \"cpulevel/level/1\" is not a profile"},
        {"no schema", [](json& j) { j.erase("schema"); }, "schema: missing"},
        {"schema type", [](json& j) { j["schema"] = 1; }, "schema: expected a string"},
        {"architecture", [](json& j) { j["architecture"] = "vax"; }, "architecture: unknown architecture \"vax\"; known are x86_64"},
        {"other architecture", [](json& j) { j["architecture"] = "aarch64"; }, "a.json: "},
        {"unknown key", [](json& j) { j["hwcaps"] = 1; }, "hwcaps: unknown key"},
        {"unknown inner key", [](json& j) { j["cpus"][0]["cpuid"][3]["efx"] = "0x0"; }, "cpus[0].cpuid[3].efx: unknown key"},
        {"missing register", [](json& j) { j["cpus"][0]["cpuid"][3].erase("eax"); }, "cpus[0].cpuid[3].eax: missing"},
        {"register too wide", [](json& j) { j["cpus"][0]["cpuid"][3]["eax"] = "0x100000000"; }, "cpus[0].cpuid[3].eax: 0x100000000 is absurd"},
        {"register no hex", [](json& j) { j["cpus"][0]["cpuid"][3]["eax"] = "12"; }, "cpus[0].cpuid[3].eax: expected a hexadecimal"},
        {"register a number", [](json& j) { j["cpus"][0]["cpuid"][3]["eax"] = 12; }, "cpus[0].cpuid[3].eax: expected a hexadecimal"},
        {"negative hex", [](json& j) { j["cpus"][0]["cpuid"][3]["eax"] = "0x-1"; }, "cpus[0].cpuid[3].eax: expected a hexadecimal"},
        {"leaf twice", [](json& j) { j["cpus"][0]["cpuid"].push_back(j["cpus"][0]["cpuid"][0]); }, "leaf 0x0, subleaf 0x0 is there twice"},
        {"cpu list", [](json& j) { j["cpus"][0]["cpus"] = "1-0"; }, "cpus[0].cpus: not a list of CPUs"},
        {"no cpu", [](json& j) { j["cpus"][0]["cpus"] = ""; }, "cpus[0].cpus: a group without CPUs"},
        {"cpu twice", [](json& j) { j["cpus"].push_back(j["cpus"][0]); }, "cpus[1].cpus: CPU 0 is in two groups"},
        {"too many groups", [](json& j) { for (int i = 0; i < 65537; ++i) j["cpus"].push_back(nullptr); }, "cpus: 65538 entries, at most 65536"},
        {"unknown feature", [](json& j) { j["features"][2] = "avx512ff"; }, "features[2]: unknown feature \"avx512ff\""},
        {"alias", [](json& j) { j["features"].push_back("pni"); }, "unknown feature \"pni\""},
        {"feature twice", [](json& j) { j["features"].push_back("avx2"); }, "\"avx2\" is there twice"},
        {"feature not a name", [](json& j) { j["features"].push_back(7); }, ": expected a string"},
        {"unfounded feature", [](json& j) { json k = json::array(); for (const auto& n : j["known"]) if (n != "avx2") k.push_back(n); j["known"] = k; }, "features: avx2 is in \"features\" but not in \"known\""},
        {"feature that CPUID denies", [](json& j) { j["features"].push_back("amx_tile"); }, "features: amx_tile is listed, but the raw values"},
        {"feature dropped", [](json& j) { json k = json::array(); for (const auto& n : j["features"]) if (n != "avx2") k.push_back(n); j["features"] = k; }, "features: avx2 is shown by the raw values"},
        {"raw bit cleared", [](json& j) { for (auto& r : j["cpus"][0]["cpuid"]) if (r["leaf"] == "0x00000007") r["ebx"] = "0x00000000"; }, "is listed, but the raw values"},
        {"xcr0 cut", [](json& j) { j["xsave"]["xcr0"] = "0x3"; }, "is listed, but the raw values"},
        {"hwcap word", [](json& j) { j["hwcap"]["AT_HWCAP9"] = 1; }, "hwcap.AT_HWCAP9: unknown key"},
        {"hwcap name", [](json& j) { j["hwcap"]["AT_HWCAP2"]["value"] = "0x0"; }, "hwcap.AT_HWCAP2.names: fsgsbase named, but not in the value"},
        {"component number", [](json& j) { j["xsave"]["components"]["63"] = j["xsave"]["components"]["2"]; }, "xsave.components.63: component numbers go from 2 to 62"},
        {"component number spelled oddly", [](json& j) { j["xsave"]["components"]["07"] = j["xsave"]["components"]["2"]; }, "component numbers"},
        {"component size", [](json& j) { j["xsave"]["components"]["2"]["size"] = 2000000; }, "xsave.components.2.size: 2000000 is absurd"},
        {"component shrunk", [](json& j) { j["xsave"]["components"]["2"]["size"] = 16; }, "component 2 has 16 bytes, but CPUID says 256"},
        {"negative size", [](json& j) { j["xsave"]["maximum_size"] = -1; }, "xsave.maximum_size: expected a whole number"},
        {"fractional size", [](json& j) { j["xsave"]["maximum_size"] = 1.5; }, "xsave.maximum_size: expected a whole number"},
        {"sizes contradict", [](json& j) { j["xsave"]["maximum_size"] = 100; }, "xsave: standard_size 2432 is larger than maximum_size 100"},
        {"page size", [](json& j) { j["page_size"] = 1000; }, "page_size: not a power of two"},
        {"signal stack", [](json& j) { j["minimum_signal_stack"] = 99999999999ULL; }, "minimum_signal_stack: 99999999999 is absurd"},
        {"family", [](json& j) { j["identity"]["family"] = 70000; }, "identity.family: 70000 is absurd"},
        {"null", [](json& j) { j["xsave"] = nullptr; }, "xsave: expected an object"},
        {"faulting", [](json& j) { j["cpuid_faulting"] = "yes"; }, "cpuid_faulting: expected true or false"},
        {"control character", [](json& j) { j["name"] = "a\x1b[2Jb"; }, "name: control character"},
        {"long name", [](json& j) { j["name"] = std::string(5000, 'x'); }, "name: 5000 bytes"},
        {"array instead of object", [](json& j) { j["identity"] = json::array(); }, "identity: expected an object"},
        {"object instead of array", [](json& j) { j["cpus"] = json::object(); }, "cpus: expected an array"},
    };
    for (const Bad& c : cases) {
        json changed = good;
        c.change(changed);
        EXPECT_THAT(error_of(changed.dump()), HasSubstr(c.message)) << c.what;
        EXPECT_THAT(error_of(changed.dump()), HasSubstr("not a valid profile: a.json")) << c.what;
    }
}

TEST(ProfileJson, MistypedFeatureGetsASuggestion) {
    json changed = json::parse(to_json(scanned()));
    changed["features"][0] = "avx512bww";
    const auto result = from_json(changed.dump(), "a.json");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().hint, HasSubstr("avx512bw"));
}

TEST(ProfileJson, SyntaxErrorsNameLineAndColumn) {
    EXPECT_THAT(error_of("{\n  \"schema\": \"cpulevel/profile/1\",\n  \"name\" 1\n}"), HasSubstr("a.json: line 3, column 10"));
    EXPECT_THAT(error_of(""), HasSubstr("line 1, column 1"));
    EXPECT_THAT(error_of("{\"a\": 1, \"a\": 2}"), HasSubstr("a: this key is there twice"));
    EXPECT_THAT(error_of("{\"cpus\": [1, {\"x\": 1, \"x\": 1}]}"), HasSubstr("cpus[1].x: this key is there twice"));
    EXPECT_THAT(error_of("[1]"), HasSubstr("expected an object"));
    EXPECT_THAT(error_of("{} trailing"), HasSubstr("line 1"));
    EXPECT_THAT(error_of("{\"name\": \"\xff\"}"), HasSubstr("line 1"));
    EXPECT_THAT(error_of(std::string(100000, '[')), HasSubstr("nested deeper than 12 levels"));
    std::string nested;
    for (int i = 0; i < 100000; ++i) nested += "{\"a\":";
    EXPECT_THAT(error_of(nested), HasSubstr("nested deeper than 12 levels"));
}

TEST(ProfileJson, EveryTruncationIsAnError) {
    const std::string text = to_json(scanned());
    for (std::size_t length = 0; length + 2 < text.size(); length += 97) {
        EXPECT_NE(error_of(text.substr(0, length)), "") << length;
    }
}

// Whatever byte is damaged: an error or a profile that is as strict as any other, never a crash.
TEST(ProfileJson, DamagedBytesNeverMakeAProfileThatIsNotWrittenBack) {
    const std::string text = to_json(scanned());
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        std::string damaged = text;
        damaged[random() % damaged.size()] = static_cast<char>(random());
        const auto read = from_json(damaged, "x");
        if (!read) continue;
        const auto again = from_json(to_json(*read), "x");
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_EQ(to_json(*again), to_json(*read));
    }
}

TEST(ProfileJson, OutputIsValidAgainstTheSchema) {
    if (std::system("/usr/bin/python3 -c 'import jsonschema' 2>/dev/null") != 0) {
        GTEST_SKIP() << "SKIPPED: no jsonschema for /usr/bin/python3 (Debian: python3-jsonschema)";
    }
    const test::TemporaryFolder folder;
    folder.write("check.py",
                 "import json, sys, jsonschema\n"
                 "schema = json.load(open(sys.argv[1]))\n"
                 "jsonschema.Draft202012Validator.check_schema(schema)\n"
                 "validator = jsonschema.Draft202012Validator(schema)\n"
                 "for name in sys.argv[2:]:\n"
                 "    for error in validator.iter_errors(json.load(open(name))):\n"
                 "        sys.exit(f'{name}: {error.json_path}: {error.message}')\n");
    std::string command = "/usr/bin/python3 " + folder.path() + "/check.py " + ::cpulevel::test::source_folder() +
                          "/data/schema/profile.schema.json";
    int number = 0;
    for (const NodeProfile& profile : {scanned(), test::imported("libcpuid_hybrid.txt"),
                                       test::imported("cpuinfo_x86.txt"), test::imported("cpuinfo_arm64.txt")}) {
        const std::string name = std::to_string(number++) + ".json";
        folder.write(name, to_json(profile));
        command += " " + folder.path() + "/" + name;
    }
    EXPECT_EQ(std::system(command.c_str()), 0);
    // And the schema refuses what it should, or the check above would mean nothing.
    json changed = json::parse(to_json(scanned()));
    changed["unheard_of"] = 1;
    folder.write("bad.json", changed.dump());
    EXPECT_NE(std::system((command + " " + folder.path() + "/bad.json 2>/dev/null").c_str()), 0);
}

}  // namespace
}  // namespace cpulevel::profile
