#include "profile/cpu_list.h"

#include <gtest/gtest.h>

#include <random>

namespace cpulevel::profile {
namespace {

TEST(CpuList, ReadsWhatTheKernelWrites) {
    EXPECT_EQ(*parse_cpu_list("0-3,8\n"), (std::vector<unsigned>{0, 1, 2, 3, 8}));
    EXPECT_EQ(*parse_cpu_list("7"), (std::vector<unsigned>{7}));
    EXPECT_TRUE(parse_cpu_list("\n")->empty());
}

TEST(CpuList, RefusesWhatIsNone) {
    for (const char* text : {"a", "1-", "-1", "3-1", "1,1", "2,1", "0-65536", "0-99999999999999999999", "1,,2", "0x1"}) {
        EXPECT_FALSE(parse_cpu_list(text)) << text;
    }
    EXPECT_TRUE(parse_cpu_list("0-65535"));
}

TEST(CpuList, WritesAnySetSoThatItReadsBack) {
    std::mt19937 random(1);
    for (int round = 0; round < 500; ++round) {
        std::vector<unsigned> cpus;
        for (unsigned cpu = 0; cpu < 40; ++cpu) {
            if (random() % 3 != 0) cpus.push_back(cpu);
        }
        auto shuffled = cpus;
        std::shuffle(shuffled.begin(), shuffled.end(), random);
        EXPECT_EQ(*parse_cpu_list(format_cpu_list(shuffled)), cpus);
    }
    EXPECT_EQ(format_cpu_list(std::vector<unsigned>{16, 0, 1, 2, 2}), "0-2,16");
}

}  // namespace
}  // namespace cpulevel::profile
