#include "util/error.h"

#include <gtest/gtest.h>

#include "util/text.h"

namespace cpulevel {
namespace {

TEST(WithoutControls, WhatSpeaksToATerminalIsShownAsBytes) {
    EXPECT_EQ(without_controls("a\x1b[2Jb\x7f\r\n"), "a\\x1b[2Jb\\x7f\\x0d\\x0a");
    EXPECT_EQ(without_controls("\xC2\x9B"
                               "2J"),
              "\\xc2\\x9b2J");
    EXPECT_EQ(without_controls("two\nlines\t", true), "two\nlines\\x09");
}

TEST(WithoutControls, OtherLanguagesStayAsTheyAre) {
    EXPECT_EQ(without_controls("n\xC3\xA4h \xC2\xA0 \xE6\x9C\xAC"), "n\xC3\xA4h \xC2\xA0 \xE6\x9C\xAC");
    EXPECT_EQ(without_controls("cut \xC2"), "cut \xC2");
    EXPECT_EQ(without_controls(""), "");
}

TEST(Error, ItsMessageHasNothingForATerminal) {
    const auto error = usage_error("cannot import", "folder/j\x1b[2J\n.x", "key \x1b[31m: bad\nsecond line");
    EXPECT_EQ(error.error().message(), "cannot import: folder/j\\x1b[2J\\x0a.x: key \\x1b[31m: bad\nsecond line");
}

}  // namespace
}  // namespace cpulevel
