#include "util/proc_status.h"

#include <gtest/gtest.h>

namespace cpulevel {
namespace {

constexpr std::string_view kStatus =
    "Name:\tcat: Tgid:\nTgid:\t4711\nUid:\t0\t1000\t2\t3\nNSpid:\t4711\t12\nEmpty:\t\nSeccomp_filters:\t2\nSeccomp:\t1";

TEST(ProcStatus, AFieldIsFoundByItsWholeName) {
    EXPECT_EQ(status_field(kStatus, "Tgid"), "4711");
    EXPECT_EQ(status_field(kStatus, "Name"), "cat: Tgid:");
    EXPECT_EQ(status_field(kStatus, "Seccomp"), "1") << "not Seccomp_filters";
    EXPECT_EQ(status_field(kStatus, "Seccomp_filters"), "2");
}

TEST(ProcStatus, WhatIsNotThereIsEmpty) {
    EXPECT_EQ(status_field(kStatus, "Tg"), "");
    EXPECT_EQ(status_field(kStatus, "Empty"), "");
    EXPECT_EQ(status_field("", "Tgid"), "");
    EXPECT_EQ(status_field("Tgid", "Tgid"), "") << "cut off";
    EXPECT_EQ(status_field("\n\nTgid:", "Tgid"), "");
}

TEST(ProcStatus, Words) {
    EXPECT_EQ(first_word(status_field(kStatus, "Uid")), "0");
    EXPECT_EQ(last_word(status_field(kStatus, "NSpid")), "12");
    EXPECT_EQ(first_word("one"), "one");
    EXPECT_EQ(last_word("one"), "one");
    EXPECT_EQ(first_word(""), "");
    EXPECT_EQ(last_word(""), "");
}

}  // namespace
}  // namespace cpulevel
