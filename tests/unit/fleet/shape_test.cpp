// A text that a shape recognises must be a valid profile of the same type, whatever was done to it: checked against
// the reader of profiles, on texts that differ as honest ones do and on texts that were changed anywhere.
#include "fleet/shape.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "fleet/types.h"
#include "profile/derive.h"
#include "profile/profile_json.h"
#include "random_fleet.h"
#include "util/file.h"
#include "../source_folder.h"

namespace cpulevel::fleet::test {
namespace {

std::vector<std::string> bundled() {
    std::vector<std::string> texts;
    for (const auto& entry : std::filesystem::directory_iterator(::cpulevel::test::source_folder() + "/data/profiles")) {
        if (entry.path().extension() != ".json") continue;
        // As this version writes it: a newer one may know more names.
        texts.push_back(profile::to_json(*profile::from_json(*read_file(entry.path().string()), "test")));
    }
    return texts;
}

// As other nodes of the same type are: name, kernel, CPU numbers and LIVE fields are their own.
std::string sibling(const std::string& text, std::mt19937& random) {
    auto node = *profile::from_json(text, "test");
    node.name = fmt::format("node{}", random() % 1000);
    node.kernel = fmt::format("6.{}.{}-generic", random() % 20, random() % 300);
    node.hypervisor = random() % 2 == 0 ? "" : "KVMKVMKVM";
    if (node.cpus.size() == 1) node.cpus.front().cpus = fmt::format("0-{}", random() % 256);
    for (auto& group : node.cpus) {
        const auto dump = group.cpuid;
        for (const auto& [key, registers] : dump) {
            auto other = registers;
            for (auto* word : {&other.eax, &other.ebx, &other.ecx, &other.edx}) *word ^= static_cast<std::uint32_t>(random());
            arch::CpuidDump changed{{key, other}};
            arch::CpuidDump original{{key, registers}};
            const auto masked = profile::without_live_fields(changed)[key];
            const auto kept = profile::without_live_fields(original)[key];
            group.cpuid[key] = {.eax = (other.eax ^ masked.eax) | kept.eax, .ebx = (other.ebx ^ masked.ebx) | kept.ebx,
                                .ecx = (other.ecx ^ masked.ecx) | kept.ecx, .edx = (other.edx ^ masked.edx) | kept.edx};
        }
    }
    return profile::to_json(node);
}

TEST(Shape, RecognisesSiblings) {
    std::mt19937 random(1);
    const auto texts = bundled();
    ASSERT_GE(texts.size(), 8U);
    for (const std::string& text : texts) {
        const auto shape = Shape::learn(text);
        ASSERT_TRUE(shape);
        EXPECT_TRUE(shape->match(text));
        for (int round = 0; round < 20; ++round) {
            const std::string other = sibling(text, random);
            const auto node = profile::from_json(other, "test");
            ASSERT_TRUE(node) << node.error().message();
            ASSERT_EQ(type_key(*node), type_key(*profile::from_json(text, "test")));
            const auto name = shape->match(other);
            ASSERT_TRUE(name);
            EXPECT_EQ(*name, node->name);
        }
    }
}

TEST(Shape, NeverRecognisesAnotherTypeOrABrokenText) {
    std::mt19937 random(2);
    std::size_t recognised = 0;
    std::size_t valid = 0;
    constexpr std::string_view kBytes = "0123456789abcdefxX\"\\,:{}[] \n-";
    for (const std::string& text : bundled()) {
        const auto shape = Shape::learn(text);
        ASSERT_TRUE(shape);
        const std::string key = type_key(*profile::from_json(text, "test"));
        for (int round = 0; round < 400; ++round) {
            std::string other = round % 2 == 0 ? text : sibling(text, random);
            // Most changes go to the lines that may differ, else few would be recognised.
            static constexpr std::array<std::string_view, 8> kNear{"\"ebx\"", "\"edx\"", "\"name\"", "\"kernel\"",
                                                                   "\"cpus\": \"", "\"eax\"", "\"hypervisor\"", "\"ecx\""};
            for (unsigned long change = 0; change < 1 + random() % 3; ++change) {
                std::size_t at = random() % other.size();
                if (random() % 4 != 0) {
                    const auto near = other.find(kNear[random() % kNear.size()], random() % 3 == 0 ? 0 : at);
                    if (near != std::string::npos) at = std::min(near + 6 + random() % 20, other.size() - 1);
                }
                switch (random() % 4) {
                    case 0: other[at] = kBytes[random() % kBytes.size()]; break;
                    case 1: other.insert(at, 1, kBytes[random() % kBytes.size()]); break;
                    case 2: other.erase(at, 1); break;
                    default: other[at] = static_cast<char>(random() % 256); break;
                }
            }
            if (random() % 50 == 0) other.resize(random() % other.size());
            const auto name = shape->match(other);
            const auto node = name || round % 8 == 0 ? profile::from_json(other, "test") : Result<profile::NodeProfile>(usage_error("not read"));
            valid += node ? 1U : 0U;
            if (!name) continue;
            ++recognised;
            ASSERT_TRUE(node) << node.error().message();
            EXPECT_EQ(type_key(*node), key);
            EXPECT_EQ(*name, node->name);
        }
    }
    EXPECT_GT(recognised, 50U);
    EXPECT_GT(valid, 50U);
}

// Each hexadecimal digit of each register changed: recognised if and only if the change makes no type.
TEST(Shape, KnowsTheBitsOfEveryRegister) {
    const std::string text = bundled().front();
    const auto shape = Shape::learn(text);
    ASSERT_TRUE(shape);
    const std::string key = type_key(*profile::from_json(text, "test"));
    std::size_t free = 0;
    for (std::size_t at = text.find("\"0x"); at != std::string::npos; at = text.find("\"0x", at + 1)) {
        if (text.substr(at, 12).find('"', 1) != 11) continue;  // eight digits
        const std::size_t digit = at + 3 + at % 8;
        std::string other = text;
        other[digit] = other[digit] == 'f' ? '0' : 'f';
        const auto node = profile::from_json(other, "test");
        const bool same = node && type_key(*node) == key;
        EXPECT_EQ(shape->match(other).has_value(), same) << text.substr(at - 60, 90);
        free += same ? 1U : 0U;
    }
    EXPECT_GT(free, 0U);
}

}  // namespace
}  // namespace cpulevel::fleet::test
