#include "util/name_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace cpulevel {
namespace {

using Names = std::vector<std::string>;

TEST(NameRanges, AsClustersWriteThem) {
    EXPECT_EQ(to_ranges({"n1", "n2", "n3", "n10", "n12"}), (Names{"n[1-3,10,12]"}));
    EXPECT_EQ(to_ranges({"n08", "n09", "n10", "n11"}), (Names{"n[08-11]"}));
    EXPECT_EQ(to_ranges({"a", "b7", "a"}), (Names{"a", "b7"}));
    EXPECT_EQ(to_ranges({"r1-n5.example", "r1-n6.example", "r2-n5.example"}),
              (Names{"r1-n[5-6].example", "r2-n5.example"}));
    EXPECT_EQ(to_ranges({"x[1],y%"}), (Names{"x%5B1%5D%2Cy%25"}));
    EXPECT_EQ(*from_ranges("n[1-3,10],m07", 100), (Names{"n1", "n2", "n3", "n10", "m07"}));
    EXPECT_EQ(*from_ranges("n[08-11]-x", 100), (Names{"n08-x", "n09-x", "n10-x", "n11-x"}));
}

// Whatever the names are, they come back, each once.
TEST(NameRanges, RoundTrip) {
    std::mt19937 random(1);
    static constexpr std::string_view kBytes = "ab01290-[],%. ";
    for (int round = 0; round < 2000; ++round) {
        Names names;
        for (unsigned long i = 0; i < 1 + random() % 30; ++i) {
            std::string name;
            for (unsigned long c = 0; c < 1 + random() % 5; ++c) name += kBytes[random() % kBytes.size()];
            names.push_back(name);
        }
        Names back;
        const auto other = [&] {
            std::string name;
            for (unsigned long c = 0; c < 1 + random() % 4; ++c) name += kBytes[random() % kBytes.size()];
            return name;
        };
        for (const std::string& text : to_ranges(names)) {
            const auto some = from_ranges(text, 1000);
            ASSERT_TRUE(some) << text << ": " << some.error().message();
            back.insert(back.end(), some->begin(), some->end());
            EXPECT_EQ(*count_in_ranges(text, 1000), some->size());
            for (const std::string& name : *some) EXPECT_TRUE(is_in_ranges(text, name)) << name << " in " << text;
            for (int i = 0; i < 10; ++i) {
                const std::string name =
                    random() % 2 == 0 ? other() : names[random() % names.size()] + std::string(random() % 2, '0');
                EXPECT_EQ(is_in_ranges(text, name), (std::ranges::find(*some, name) != some->end()))
                    << name << " in " << text;
            }
        }
        std::set<std::string> wanted(names.begin(), names.end());
        std::ranges::sort(back);
        EXPECT_EQ(back, Names(wanted.begin(), wanted.end()));
    }
}

TEST(NameRanges, RefusesWhatItCannotRead) {
    for (const char* text : {"", "a,,b", "a[1-", "a]1", "a[1][2]", "a[x]", "a[3-1]", "a[1-1000000000000]", "a%", "a%41",
                             "a[-1]", "a[1,]", "a[11111111111111111111]"}) {
        EXPECT_FALSE(from_ranges(text, 1000)) << text;
        EXPECT_FALSE(count_in_ranges(text, 1000)) << text;
    }
    EXPECT_FALSE(count_in_ranges("a[1-4],b[1-7]", 10));
    EXPECT_FALSE(count_in_ranges("a[1-40],b", 10));
    EXPECT_EQ(*count_in_ranges("a[1-4],b[1-6]", 10), 10U);
}

TEST(NameRanges, NamesOfOtherWidths) {
    EXPECT_TRUE(is_in_ranges("n[08-11]", "n09"));
    EXPECT_FALSE(is_in_ranges("n[08-11]", "n9"));
    EXPECT_FALSE(is_in_ranges("n[08-11]", "n009"));
    EXPECT_TRUE(is_in_ranges("n[8-110]", "n9"));
    EXPECT_TRUE(is_in_ranges("n[8-110]", "n100"));
    EXPECT_FALSE(is_in_ranges("n[8-110]", "n0100"));
    EXPECT_TRUE(is_in_ranges("m,n[8-9,011]-x", "n011-x"));
    EXPECT_FALSE(is_in_ranges("m,n[8-9,011]-x", "n11-x"));
    EXPECT_FALSE(is_in_ranges("n[1-2]2", "n2"));  // the ends overlap
}

}  // namespace
}  // namespace cpulevel
