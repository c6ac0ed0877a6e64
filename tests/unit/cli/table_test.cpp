#include "cli/table.h"

#include <gtest/gtest.h>

#include "util/text.h"

namespace cpulevel::cli {
namespace {

const Style kPlain(false);

TEST(Columns, CountsWhatATerminalShows) {
    EXPECT_EQ(columns("abc"), 3U);
    EXPECT_EQ(columns("\x1b[31mabc\x1b[0m"), 3U);
    EXPECT_EQ(columns("\xc3\xbc"), 1U);  // one letter, two bytes
}

TEST(Wrap, NeverExceedsTheWidthUnlessAWordDoes) {
    const std::string text = "a bb ccc dddd eeeee ffffff ggggggg averyveryverylongword b";
    for (std::size_t width = 8; width < 40; ++width) {
        const std::string wrapped = "  " + wrap(text, width, 2);
        std::string words;
        for (const auto line : split(wrapped, '\n')) {
            EXPECT_TRUE(line.starts_with("  "));
            EXPECT_TRUE(line.size() <= width || trim(line).find(' ') == std::string_view::npos) << line;
            words += (words.empty() ? "" : " ") + std::string(trim(line));
        }
        EXPECT_EQ(words, text) << "nothing may be lost at width " << width;
    }
}

TEST(TableText, AlignsAndContinuesTheLastColumnUnderItself) {
    Table table({"name", "size", "what"});
    table.align(1, Align::right);
    table.add_row({"a", "7", "one two three four five six"});
    table.add_row({"long name", "1234", "x"});
    EXPECT_EQ(table.text(kPlain, 40),
              "  name       size  what\n"
              "  a             7  one two three four\n"
              "                   five six\n"
              "  long name  1234  x\n");
}

TEST(TableText, ColourDoesNotChangeTheAlignment) {
    const Style colour(true);
    Table table({"", ""});
    table.add_row({colour.bad("a"), "1"});
    table.add_row({"bb", "2"});
    EXPECT_EQ(table.text(kPlain, 80), "  \x1b[31ma\x1b[0m   1\n  bb  2\n");
}

}  // namespace
}  // namespace cpulevel::cli
