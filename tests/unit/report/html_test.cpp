#include "report/html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace cpulevel::report {
namespace {

TEST(Html, MarkupIsText) {
    EXPECT_EQ(text("<script>alert('1')</script>"), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;");
    EXPECT_EQ(text("\"onload=x&amp;"), "&quot;onload=x&amp;amp;");
}

TEST(Html, InvisibleCharactersAreShown) {
    EXPECT_EQ(visible(std::string_view("a\0b\n\x1b[31m\x7f", 10)), "a\\u{0}b\\u{a}\\u{1b}[31m\\u{7f}");
    EXPECT_EQ(visible("\u202egnp.exe"), "\\u{202e}gnp.exe");      // right-to-left override
    EXPECT_EQ(visible("no\u200bde"), "no\\u{200b}de");            // zero width space
    EXPECT_EQ(visible("\u2028"), "\\u{2028}");                    // a line end to JavaScript before 2019
    EXPECT_EQ(visible("n\u0153ud-\u8282\u70b9-\U0001F5A5"), "n\u0153ud-\u8282\u70b9-\U0001F5A5");
}

TEST(Html, MarksOfALanguageStayAPileDoesNot) {
    EXPECT_EQ(visible("e\u0301"), "e\u0301");
    EXPECT_EQ(visible("e\u0301\u0301\u0301\u0301"), "e\u0301\u0301\u0301\\u{301}");
}

TEST(Html, BytesThatAreNotUtf8AreShown) {
    EXPECT_EQ(visible("\xff\xfe"), "\\xff\\xfe");
    EXPECT_EQ(visible("\xc0\xaf"), "\\xc0\\xaf");          // not the shortest form
    EXPECT_EQ(visible("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
    EXPECT_EQ(visible("a\xe2\x82"), "a\\xe2\\x82");          // cut off
}

TEST(Html, ALongNameIsCutAndSaysSo) {
    const std::string cut = visible(std::string(1000, 'x'));
    EXPECT_EQ(cut, std::string(kLongestName, 'x') + "\u2026 (and 840 more characters)");
    // Whole characters are counted and kept.
    std::string smiles;
    for (int i = 0; i < 200; ++i) smiles += "\U0001F600";
    EXPECT_TRUE(visible(smiles).ends_with("\U0001F600\u2026 (and 40 more characters)"));
}

TEST(Html, JsonCannotEndItsElement) {
    const nlohmann::json json = {{"name", "</script><!--<script>&\u2028"}};
    const std::string text = inside_script(json.dump());
    EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(text), json);
}

// Whatever the bytes: valid UTF-8 without control characters, and no character of markup.
TEST(Html, RandomBytesAreHarmless) {
    std::mt19937 random(1);
    const std::string_view favourites = "<>&\"'\\\x80\xbf\xc2\xe2\xed\xef\xf0\xf4\xff";
    for (int round = 0; round < 3000; ++round) {
        std::string bytes;
        for (std::size_t i = random() % 40; i-- > 0;) {
            bytes += random() % 2 == 0 ? favourites[random() % favourites.size()] : static_cast<char>(random() % 256);
        }
        const std::string safe = text(bytes);
        EXPECT_NO_THROW((void)nlohmann::json(safe).dump()) << "not UTF-8";  // dump() refuses what is not
        EXPECT_EQ(safe.find_first_of("<>\"'"), std::string::npos);
        for (const char c : safe) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
    }
}

}  // namespace
}  // namespace cpulevel::report
