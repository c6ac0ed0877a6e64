// cpulevel.json: written and read back the same; what is damaged, newer or absurd is refused with the place in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/record.h"
#include "level/expression.h"
#include "profile/profile_json.h"
#include "util/file.h"
#include "../source_folder.h"

namespace cpulevel::checkpoint {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

Record example() {
    Record record;
    record.version = "1.2.3";
    record.created = "2026-11-25T20:15:00Z";
    const auto level = level::parse_level("x86-64-v2", arch::Architecture::x86_64);
    if (!level) return record;
    const auto text = read_file(::cpulevel::test::source_folder() + "/data/profiles/haswell.json");
    auto node = profile::from_json(text ? *text : std::string{}, "haswell.json");
    if (!node) return record;
    record.node = std::move(*node);
    record.node.name = "there";
    LevelledTree tree;
    tree.level = *level;
    tree.root = 4711;
    tree.supervisor = 4710;
    tree.front = 4709;
    tree.portable = true;
    tree.stopped_before = {4720, 4721};
    tree.processes = 5;
    tree.threads = 17;
    tree.cpuid_in_memory = 75;
    tree.cpuid_traps = 2;
    tree.command = "make -j2";
    tree.cpuid_method = "planted traps";
    tree.coverage = {{"CPUID", engine::ChannelState::partial, "no CPUID faulting"},
                     {"/proc/PID/auxv", engine::ChannelState::full, ""}};
    record.trees.push_back(std::move(tree));
    record.criu.tcp_established = true;
    Audit audit{"fleet", false, {}};
    audit.findings.push_back({audit::Kind::vector_state, audit::Severity::unsafe, audit::Certainty::likely, 4711, 4712,
                              "java", "uses AVX-512", "why", "advice"});
    record.audit = std::move(audit);
    return record;
}

json example_json() { return json::parse(to_json(example())); }

std::string complaint(const json& changed) {
    const auto read = from_json(changed.dump(), "c.json");
    return read ? std::string("it was taken") : read.error().message();
}

TEST(CheckpointRecord, IsReadBackTheSame) {
    const std::string text = to_json(example());
    const auto read = from_json(text, "c.json");
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(to_json(*read), text);
    ASSERT_EQ(read->trees.size(), 1U);
    const LevelledTree& tree = read->trees.front();
    EXPECT_EQ(tree.level.name, "x86-64-v2");
    EXPECT_EQ(tree.root, 4711);
    EXPECT_EQ(tree.supervisor, 4710);
    EXPECT_TRUE(tree.portable);
    EXPECT_THAT(tree.stopped_before, ::testing::ElementsAre(4720, 4721));
    ASSERT_EQ(tree.coverage.size(), 2U);
    EXPECT_EQ(tree.coverage[0].state, engine::ChannelState::partial);
    EXPECT_TRUE(read->criu.tcp_established);
    EXPECT_FALSE(read->criu.shell_job);
    ASSERT_TRUE(read->audit);
    EXPECT_FALSE(read->audit->safe);
    ASSERT_EQ(read->audit->findings.size(), 1U);
    EXPECT_EQ(read->audit->findings[0].kind, audit::Kind::vector_state);
    EXPECT_EQ(read->audit->findings[0].certainty, audit::Certainty::likely);
    EXPECT_EQ(read->audit->findings[0].thread, 4712);
}

// A program may be called anything; what we write we must be able to read.
TEST(CheckpointRecord, NamesOfAnyBytesAreReadBack) {
    Record record = example();
    record.trees[0].command = "a\nb\x01\xff" + std::string(100'000, 'x');
    record.audit->findings[0].process = "\x1b[31m\n";
    const auto read = from_json(to_json(record), "c.json");
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_THAT(read->trees[0].command, ::testing::StartsWith("a\\x0ab\\x01"));
}

TEST(CheckpointRecord, ANewerSchemaIsRefusedAsSuch) {
    json changed = example_json();
    changed["schema"] = "cpulevel/checkpoint/2";
    changed["new"] = 1;
    EXPECT_THAT(complaint(changed),
                ::testing::AllOf(HasSubstr("c.json"), HasSubstr("schema"), HasSubstr("checkpoint/2")));
}

TEST(CheckpointRecord, EveryMissingOrForeignFieldIsNamed) {
    const json whole = example_json();
    for (const auto& item : whole.items()) {
        if (item.key() == "audit") continue;
        json changed = whole;
        changed.erase(item.key());
        EXPECT_THAT(complaint(changed), HasSubstr(item.key() == "node" ? "node" : item.key()));
    }
    for (const auto& item : whole["trees"][0].items()) {
        json changed = whole;
        changed["trees"][0].erase(item.key());
        EXPECT_THAT(complaint(changed), HasSubstr(item.key())) << item.key();
        changed = whole;
        changed["trees"][0][item.key() + "x"] = 1;
        EXPECT_THAT(complaint(changed), HasSubstr(item.key() + "x"));
    }
}

TEST(CheckpointRecord, WhatCannotBeIsRefused) {
    const json whole = example_json();
    const auto with = [&](const json::json_pointer& at, const json& value) {
        json changed = whole;
        changed[at] = value;
        return complaint(changed);
    };
    EXPECT_THAT(with(json::json_pointer("/trees/0/root"), 0), HasSubstr("trees[0].root"));
    EXPECT_THAT(with(json::json_pointer("/trees/0/root"), -1), HasSubstr("trees[0].root"));
    EXPECT_THAT(with(json::json_pointer("/trees/0/root"), 1ULL << 40U), HasSubstr("trees[0].root"));
    EXPECT_THAT(with(json::json_pointer("/trees"), json::array()), HasSubstr("trees"));
    EXPECT_THAT(with(json::json_pointer("/trees/0/level/features"), json::array({"avx512f"})),
                HasSubstr("trees[0].level"));
    EXPECT_THAT(with(json::json_pointer("/trees/0/coverage/0/state"), "half"), HasSubstr("half"));
    EXPECT_THAT(with(json::json_pointer("/audit/findings/0/kind"), "mood"), HasSubstr("mood"));
    EXPECT_THAT(with(json::json_pointer("/node/schema"), "cpulevel/profile/7"), HasSubstr("node"));
}

TEST(CheckpointRecord, ACutFileIsNoRecord) {
    const std::string text = to_json(example());
    for (std::size_t length = 0; length < text.size() - 2; length += 97) {
        EXPECT_FALSE(from_json(text.substr(0, length), "c.json")) << length;
    }
}

TEST(CheckpointRecord, AFolderWithoutOneIsNoError) {
    std::string folder = std::filesystem::temp_directory_path() / "cpulevel-record-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const auto none = read_record(folder);
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_FALSE(*none);
    ASSERT_TRUE(write_record(folder, example()));
    const auto one = read_record(folder);
    ASSERT_TRUE(one && *one);
    EXPECT_EQ(to_json(**one), to_json(example()));
    std::filesystem::resize_file(folder + "/" + kFileName, kMostBytes + 1);
    EXPECT_FALSE(read_record(folder));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cpulevel::checkpoint
