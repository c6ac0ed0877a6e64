// Fleets from folders, archives and streams: the same nodes give the same fleet, whatever they come in and however many
// threads read them.
#include "intake/gather.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "intake/containers.h"
#include "intake/documents.h"
#include "intake/models.h"
#include "profile/profile_json.h"
#include "util/file.h"
#include "../temporary_folder.h"

namespace cpulevel::intake {
namespace {

namespace fs = std::filesystem;

class Gather : public testing::Test {
   protected:
    void put(const fs::path& name, const std::string& text) const { place_.write(name, text); }

    const test::TemporaryFolder place_;
    const fs::path folder_ = place_.path();
};

// Node `number` of a fleet of the bundled models.
profile::NodeProfile node(std::size_t number) {
    const auto names = model_names();
    auto node = *find_model(names[number % names.size()]);
    node.name = fmt::format("node{:04}", number);
    node.kernel = fmt::format("6.1.{}", number);
    for (auto& group : node.cpus) {
        if (auto leaf = group.cpuid.find({1, 0}); leaf != group.cpuid.end()) {
            leaf->second.ebx = (leaf->second.ebx & 0xffffffU) | static_cast<std::uint32_t>(number << 24U);
        }
    }
    return node;
}

void expect_fleet(const Result<Gathered>& gathered, std::size_t count) {
    ASSERT_TRUE(gathered) << gathered.error().message();
    const std::size_t models = model_names().size();
    ASSERT_EQ(gathered->fleet.node_count(), count);
    ASSERT_EQ(gathered->type_of.size(), count);
    ASSERT_EQ(gathered->fleet.types.size(), std::min(models, count));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(gathered->type_of[i], i % models);
    for (std::size_t type = 0; type < gathered->fleet.types.size(); ++type) {
        const fleet::NodeType& one = gathered->fleet.types[type];
        EXPECT_EQ(one.profile.name, node(type).name);
        ASSERT_EQ(one.nodes.size(), one.count);
        for (std::size_t i = 0; i < one.count; ++i) EXPECT_EQ(one.nodes[i], node(type + i * models).name);
    }
}

TEST_F(Gather, AFolderWithAnyNumberOfThreads) {
    constexpr std::size_t kCount = 200;
    for (std::size_t i = 0; i < kCount; ++i) {
        put(fmt::format("nodes/{}/{:04}.json", i / 50, i), profile::to_json(node(i)));
    }
    put("nodes/.hidden", "not a profile");
    fs::create_symlink("/etc/passwd", folder_ / "nodes/link.json");
    fs::create_symlink("/etc", folder_ / "nodes/linked");
    ASSERT_EQ(::mkfifo((folder_ / "nodes/pipe").c_str(), 0600), 0);
    for (const std::size_t threads : {1U, 2U, 7U}) {
        GatherOptions options;
        options.threads = threads;
        const auto gathered = gather({(folder_ / "nodes").string()}, options);
        expect_fleet(gathered, kCount);
        EXPECT_EQ(gathered->links_skipped, 2U);
        EXPECT_EQ(gathered->others_skipped, 1U);
    }
}

TEST_F(Gather, JsonLines) {
    std::string lines = "\n";
    for (std::size_t i = 0; i < 100; ++i) lines += nlohmann::json::parse(profile::to_json(node(i))).dump() + (i % 7 == 0 ? "\r\n" : "\n");
    put("lines", lines);
    expect_fleet(gather({(folder_ / "lines").string()}, {}), 100);
    put("cut", lines + "{\"schema\": \"cpulevel/profile/1\"");
    const auto cut = gather({(folder_ / "cut").string()}, {});
    ASSERT_FALSE(cut);
    EXPECT_NE(cut.error().message().find("line 102"), std::string::npos) << cut.error().message();
}

TEST_F(Gather, ArchivesThatTarMakes) {
    for (std::size_t i = 0; i < 100; ++i) put(fmt::format("in/{:04}.json", i), profile::to_json(node(i)));
    for (const std::string how : {"--format=ustar -cf", "--format=pax -cf", "--format=gnu -cf", "-czf"}) {
        const std::string command = fmt::format("cd {} && tar {} nodes.tar --sort=name in", folder_.string(), how);
        ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT: the folder is ours
        expect_fleet(gather({(folder_ / "nodes.tar").string()}, {}), 100);
    }
    // Cut short, an archive could hide nodes.
    fs::resize_file(folder_ / "nodes.tar", fs::file_size(folder_ / "nodes.tar") / 2);
    EXPECT_FALSE(gather({(folder_ / "nodes.tar").string()}, {}));
}

TEST_F(Gather, OneThatCannotBeRead) {
    for (std::size_t i = 0; i < 100; ++i) put(fmt::format("nodes/{:04}.json", i), profile::to_json(node(i)));
    put("nodes/0050.json", "{\"schema\": \"cpulevel/profile/1\", \"oops\": 1}");
    put("nodes/0060.json", profile::to_json(node(60)).substr(0, 500));
    const std::vector<Source> sources{(folder_ / "nodes").string()};
    const auto stopped = gather(sources, {});
    ASSERT_FALSE(stopped);
    EXPECT_NE(stopped.error().message().find("00"), std::string::npos);
    GatherOptions options;
    options.keep_going = true;
    const auto gathered = gather(sources, options);
    ASSERT_TRUE(gathered);
    EXPECT_EQ(gathered->fleet.node_count(), 98U);
    ASSERT_EQ(gathered->faults.size(), 2U);
    EXPECT_EQ(gathered->fault_count, 2U);
    EXPECT_NE(gathered->faults[0].message().find("nodes/0050.json"), std::string::npos);
    EXPECT_NE(gathered->faults[1].message().find("nodes/0060.json"), std::string::npos);
    const auto nothing = gather({(folder_ / "nothing").string()}, options);
    ASSERT_TRUE(nothing);
    EXPECT_EQ(nothing->fault_count, 1U);
}

TEST_F(Gather, NodesOfOneNameStayApart) {
    put("nodes/a.json", profile::to_json(node(1)));
    put("nodes/b.json", profile::to_json(node(1)));
    const auto gathered = gather({(folder_ / "nodes").string()}, {});
    ASSERT_TRUE(gathered);
    ASSERT_EQ(gathered->fleet.types.size(), 1U);
    EXPECT_EQ(gathered->fleet.types[0].nodes[0], "node0001");
    EXPECT_EQ(gathered->fleet.types[0].nodes[1], "node0001 (" + (folder_ / "nodes/b.json").string() + ")");
}

std::string base64(const std::string& bytes) {
    static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) bits = bits << 8U | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i) text += at + i > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * i) & 63U];
    }
    return text;
}

TEST_F(Gather, WhatKubectlAndEtcdctlPrint) {
    nlohmann::json maps = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", nlohmann::json::array()}};
    nlohmann::json etcd = {{"header", {{"revision", 7}}}, {"kvs", nlohmann::json::array()}, {"count", 20}};
    std::string plain;
    for (std::size_t i = 0; i < 20; ++i) {
        const std::string text = profile::to_json(node(i));
        maps["items"].push_back({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", node(i).name}, {"namespace", "cpulevel"}}},
                                 {"data", {{"profile.json", text}}}});
        etcd["kvs"].push_back({{"key", base64("/cpulevel/" + node(i).name)}, {"value", base64(text)}, {"version", 1}});
        plain += "/cpulevel/" + node(i).name + "\n" + text + "\n";
    }
    put("maps", maps.dump(4));
    put("etcd", etcd.dump() + "\n");
    put("plain", plain);
    for (const char* name : {"maps", "etcd", "plain"}) expect_fleet(gather({(folder_ / name).string()}, {}), 20);

    etcd["kvs"][3]["value"] = "!!!!";
    put("bad", etcd.dump());
    EXPECT_FALSE(gather({(folder_ / "bad").string()}, {}));
    put("bad", plain.substr(0, plain.size() / 2));
    EXPECT_FALSE(gather({(folder_ / "bad").string()}, {}));
    maps["items"][5]["data"]["profile.json"] = "{\"schema\": \"cpulevel/profile/1\"}";
    put("bad", maps.dump());
    const auto refused = gather({(folder_ / "bad").string()}, {});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("cpulevel/node0005"), std::string::npos) << refused.error().message();
}

// What is complete in front of a cut counts, and so does what is good beside what is bad.
TEST_F(Gather, KeepsGoing) {
    constexpr std::size_t kCount = 100;
    GatherOptions options;
    options.keep_going = true;
    const auto read = [&](const std::string& name) {
        EXPECT_FALSE(gather({(folder_ / name).string()}, {})) << name;
        return gather({(folder_ / name).string()}, options);
    };
    std::string lines;
    for (std::size_t i = 0; i < kCount; ++i) {
        put(fmt::format("in/{:04}.json", i), profile::to_json(node(i)));
        lines += nlohmann::json::parse(profile::to_json(node(i))).dump() + "\n";
    }
    put("lines", lines);
    // Members and lines that end in front of every cut are known from the sizes.
    const std::string pack = fmt::format("cd {} && tar --format=ustar -cf nodes.tar --sort=name in && gzip -k lines", folder_.string());
    ASSERT_EQ(std::system(pack.c_str()), 0);  // NOLINT: the folder is ours
    const std::string tar = *read_file((folder_ / "nodes.tar").string());
    for (const std::size_t part : {2U, 3U, 7U}) {
        const std::size_t cut = tar.size() / part;
        std::size_t complete = 0;
        for (std::size_t at = 512;; ++complete) {  // behind the folder's header
            at += 512 + fs::file_size(folder_ / fmt::format("in/{:04}.json", complete));
            if (at > cut) break;
            at = (at + 511) / 512 * 512;
        }
        put("cut.tar", tar.substr(0, cut));
        const auto gathered = read("cut.tar");
        expect_fleet(gathered, complete);
        EXPECT_EQ(gathered->fault_count, 1U);
        EXPECT_EQ(gathered->cut_count, 1U);
    }
    const std::string packed = *read_file((folder_ / "lines.gz").string());
    put("cut.gz", packed.substr(0, packed.size() / 2));
    const auto gathered = read("cut.gz");
    ASSERT_TRUE(gathered);
    EXPECT_GT(gathered->fleet.node_count(), kCount / 4);
    EXPECT_EQ(gathered->cut_count, 1U);

    nlohmann::json maps = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", nlohmann::json::array()}};
    nlohmann::json etcd = {{"kvs", nlohmann::json::array()}};
    std::string plain;
    for (std::size_t i = 0; i < 20; ++i) {
        const std::string text = profile::to_json(node(i));
        maps["items"].push_back({{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", node(i).name}}}, {"data", {{"p", text}}}});
        etcd["kvs"].push_back({{"key", base64(node(i).name)}, {"value", base64(text)}});
        plain += node(i).name + "\n" + text + "\n";
    }
    maps["items"][19]["data"]["p"] = "no profile";
    put("maps", maps.dump());
    etcd["kvs"][19]["value"] = "!!!!";
    put("etcd", etcd.dump());
    for (const char* name : {"maps", "etcd"}) {
        const auto good = read(name);
        expect_fleet(good, 19);
        EXPECT_EQ(good->fault_count, 1U);
        EXPECT_EQ(good->cut_count, 0U);
    }
    put("plain", plain.substr(0, plain.size() - 100));
    const auto good = read("plain");
    expect_fleet(good, 19);
    EXPECT_EQ(good->cut_count, 1U);

    nlohmann::json nodes = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", nlohmann::json::array()}};
    for (const char* architecture : {"amd64", "arm", "amd64"}) {
        nodes["items"].push_back({{"apiVersion", "v1"}, {"kind", "Node"},
                                  {"metadata", {{"name", architecture}, {"labels", {{"kubernetes.io/arch", architecture}}}}}});
    }
    put("nfd", nodes.dump());
    const auto others = read("nfd");
    ASSERT_TRUE(others);
    EXPECT_EQ(others->fleet.node_count(), 2U);
    EXPECT_EQ(others->fault_count, 1U);
}

// Kubernetes puts a ConfigMap with the cluster's certificate into every namespace.
TEST_F(Gather, CertificatesBesideTheProfiles) {
    const auto map = [](const std::string& name, const std::string& key, const std::string& value) {
        return nlohmann::json{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}, {"data", {{key, value}}}};
    };
    const std::string certificate = "-----BEGIN CERTIFICATE-----\nMIIC/jCCAeagAwIBAgIBADANBg==\n-----END CERTIFICATE-----\n";
    nlohmann::json maps = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", nlohmann::json::array()}};
    maps["items"].push_back(map("kube-root-ca.crt", "ca.crt", certificate));
    maps["items"].push_back(map("istio-ca-root-cert", "root-cert.pem", "\n" + certificate + certificate));
    put("certificates", maps.dump());
    const auto none = gather({(folder_ / "certificates").string()}, {});
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message().find("certificates"), std::string::npos) << none.error().message();
    for (std::size_t i = 0; i < 20; ++i) maps["items"].push_back(map(node(i).name, "profile.json", profile::to_json(node(i))));
    put("maps", maps.dump());
    expect_fleet(gather({(folder_ / "maps").string()}, {}), 20);
    // Whatever else is there is not passed over.
    maps["items"].push_back(map("settings", "motd", "-----BEGIN of a day-----"));
    put("other", maps.dump());
    const auto other = gather({(folder_ / "other").string()}, {});
    ASSERT_FALSE(other);
    EXPECT_NE(other.error().message().find("settings"), std::string::npos) << other.error().message();
}

}  // namespace
}  // namespace cpulevel::intake
