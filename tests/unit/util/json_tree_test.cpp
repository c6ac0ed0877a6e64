#include "util/json_tree.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace cpulevel {
namespace {

using nlohmann::json;
using Kind = JsonTree::Kind;

json rebuilt(const JsonTree& tree, JsonTree::Index index) {
    const JsonTree::Value& value = tree[index];
    switch (value.kind) {
        case Kind::null: return nullptr;
        case Kind::boolean: return tree.boolean(index);
        case Kind::integer:
        case Kind::other_number: return json::parse(tree.raw(index));
        case Kind::string: return tree.string(index);
        case Kind::array: {
            json list = json::array();
            for (JsonTree::Index at = index + 1; at < value.next; at = tree[at].next) list.push_back(rebuilt(tree, at));
            EXPECT_EQ(list.size(), value.count);
            return list;
        }
        case Kind::object: {
            json object = json::object();
            for (JsonTree::Index at = index + 1; at < value.next; at = tree[at + 1].next)
                object[tree.string(at)] = rebuilt(tree, at + 1);
            EXPECT_EQ(object.size(), value.count);
            return object;
        }
    }
    return nullptr;
}

std::string complaint(std::string_view text) {
    const auto tree = JsonTree::parse(text, {});
    return tree ? "" : tree.error().place + ": " + tree.error().why;
}

TEST(JsonTree, ReadsWhatItIs) {
    const std::string text =
        R"( {"a": [1, -2, 3.5e-1, true, false, null, "x\n\u00e9\ud83d\ude00"], "b c": {"d": {}}, "": []} )";
    const auto tree = JsonTree::parse(text, {});
    ASSERT_TRUE(tree);
    EXPECT_EQ(rebuilt(*tree, 0), json::parse(text));
    const auto a = tree->find(0, "a");
    ASSERT_TRUE(a);
    EXPECT_EQ(tree->integer(*a + 1), 1U);
    EXPECT_FALSE(tree->integer(*a + 2));
    EXPECT_EQ(tree->path(*a + 3), "a[2]");
    EXPECT_EQ(tree->raw(*tree->find(0, "b c")), "{\"d\": {}}");
    EXPECT_EQ(tree->path(*tree->find(*tree->find(0, "b c"), "d")), "b c.d");
    EXPECT_FALSE(tree->find(0, "c"));
}

TEST(JsonTree, SaysWhereAndWhat) {
    EXPECT_EQ(complaint(""), "line 1, column 1: expected a value, but it ends here");
    EXPECT_EQ(complaint("{\n  \"a\" 1}"), "line 2, column 7: expected a colon after the key");
    EXPECT_EQ(complaint("[1 2]"), "line 1, column 4: expected a comma or the list's end");
    EXPECT_EQ(complaint("{\"a\":1 \"b\":2}"), "line 1, column 8: expected a comma or the object's end");
    EXPECT_EQ(complaint("{a:1}"), "line 1, column 2: expected a key in quotation marks");
    EXPECT_EQ(complaint("[1,]"), "line 1, column 4: expected a value");
    EXPECT_EQ(complaint("{} {}"), "line 1, column 4: expected nothing more");
    EXPECT_EQ(complaint(std::string_view("1\0\0", 3)), "line 1, column 2: expected nothing more");
    EXPECT_EQ(complaint("[\"a"), "line 1, column 2: a string without an end");
    EXPECT_EQ(complaint("[\"a\n\"]"), "line 1, column 4: a control character in a string");
    EXPECT_EQ(complaint("[\"\xc0\xaf\"]"), "line 1, column 3: bytes that are not UTF-8");
    EXPECT_EQ(complaint("[\"\\ud800\"]"), "line 1, column 3: a backslash that means nothing");
    EXPECT_EQ(complaint("[1.]"), "line 1, column 4: expected a digit");
    EXPECT_EQ(complaint("[01]"), "line 1, column 3: expected a comma or the list's end");
    EXPECT_EQ(complaint("[+1]"), "line 1, column 2: expected a value");
    EXPECT_EQ(complaint("[-]"), "line 1, column 3: expected a digit");
    EXPECT_EQ(complaint("{\"x\": [{}, {\"k\": 1, \"\\u006b\": 2}]}"), "x[1].k: this key is there twice");
    EXPECT_EQ(complaint(std::string(13, '[')), "[0][0][0][0][0][0][0][0][0][0][0][0]: nested deeper than 12 levels");
}

TEST(JsonTree, ManyKeys) {
    json object;
    for (int i = 0; i < 1000; ++i) object["key" + std::to_string(i)] = i;
    std::string text = object.dump();
    EXPECT_EQ(complaint(text), "");
    text.insert(1, "\"key777\": 1, ");
    EXPECT_EQ(complaint(text), "key777: this key is there twice");
    EXPECT_FALSE(JsonTree::parse(text, {.depth = 12, .values = 100}));
}

// What the other reader of this program accepts, and nothing else, and the same in it.
TEST(JsonTree, AgreesWithAnotherReader) {
    std::mt19937 random(3);
    static constexpr std::string_view kPieces[] = {"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   ":",
                                                   "\"a\"",
                                                   "\"b\"",
                                                   "\"\\u00",
                                                   "1",
                                                   "-",
                                                   "0",
                                                   ".5",
                                                   "e1 ",
                                                   "true",
                                                   "null",
                                                   " ",
                                                   "\n",
                                                   "\"",
                                                   "\\",
                                                   "\xc3",
                                                   "\xa9",
                                                   "\xf0\x9f\x98\x80",
                                                   "\x7f",
                                                   "\\n",
                                                   "fals",
                                                   "d834",
                                                   "\\ud834\\udd1e"};
    std::size_t accepted = 0;
    for (int round = 0; round < 200000; ++round) {
        std::string text = round % 2 == 0 ? "" : R"({"a": [1, {"b": "\u00e9"}], "c": -1.5e2, "d": "x"})";
        if (text.empty()) {
            for (unsigned long i = 0; i < 1 + random() % 7; ++i) text += kPieces[random() % std::size(kPieces)];
        } else {
            const std::size_t at = random() % text.size();
            text.replace(at, random() % 3, kPieces[random() % std::size(kPieces)]);
        }
        const auto tree = JsonTree::parse(text, {});
        const json other = json::parse(text, nullptr, false);
        if (!tree) {
            if (tree.error().why == "this key is there twice") continue;
            ASSERT_TRUE(other.is_discarded()) << text << ": " << tree.error().why;
        } else {
            ASSERT_EQ(rebuilt(*tree, 0), other) << text;
            ++accepted;
        }
    }
    EXPECT_GT(accepted, 1000U);
}

}  // namespace
}  // namespace cpulevel
