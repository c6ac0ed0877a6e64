// Switch tables by blocks against the same read entry by entry: what is led to, what it costs, and whether the budget was enough.
#include "cpuid/switch_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "elf_builder.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::uint64_t kText = Elf64Builder::kText;
constexpr std::size_t kCode = 0x1000, kTables = 0x8000, kSize = kCode + kTables;

void put(Bytes& bytes, std::size_t at, std::int64_t value) {
    const auto narrow = static_cast<std::int32_t>(value);
    std::memcpy(&bytes[at], &narrow, sizeof narrow);
}

// Code that takes the addresses of tables, which stand behind it, side by side: each entry leads to code near those around it, now and
// then one leads nowhere.
Bytes program(std::mt19937& random) {
    Bytes text(kSize, std::byte{0x90});
    std::vector<std::size_t> tables;
    for (std::size_t at = 0; at + 7 <= kCode; at += 7 + random() % 60) {
        const std::size_t table = kCode + (random() % 8 == 0 ? random() % kTables : random() % (kTables / 4) * 4);
        text[at] = std::byte{0x48};
        text[at + 1] = std::byte{0x8D};
        text[at + 2] = std::byte{0x3D};
        put(text, at + 3, static_cast<std::int64_t>(table) - static_cast<std::int64_t>(at + 7));
        tables.push_back(table);
    }
    std::ranges::sort(tables);
    std::size_t table = 0, near = 0;
    for (std::size_t at = kCode; at + 4 <= kSize; at += 4) {
        const auto next = std::ranges::upper_bound(tables, at);
        if (next != tables.begin() && *std::prev(next) != table) {
            table = *std::prev(next);
            near = random() % (kCode - 64);
        }
        const bool leads = random() % 2000 != 0;
        put(text, at, leads ? static_cast<std::int64_t>(near + random() % 64) - static_cast<std::int64_t>(table) : 0x7FFFFFFF);
    }
    return text;
}

struct Answer {
    bool enough = true;
    std::uint64_t budget = 0;
    std::set<std::size_t> led_to;
    friend bool operator==(const Answer&, const Answer&) = default;
};

Answer naive(const Bytes& text, const Intervals& intervals, const std::set<std::uint64_t>& objects, std::uint64_t budget) {
    Answer answer{.enough = true, .budget = budget, .led_to = {}};
    for (const std::uint64_t table : lea_targets(text, kText)) {
        if (table - kText >= kSize) continue;
        for (std::uint64_t at = table; at + 4 <= kText + kSize; at += 4) {
            if (const auto next = objects.upper_bound(table); next != objects.end() && at + 4 > *next) break;
            std::int32_t entry = 0;
            std::memcpy(&entry, &text[at - kText], sizeof entry);
            const std::uint64_t target = table + static_cast<std::uint64_t>(std::int64_t{entry});
            if (target - kText >= kSize) break;
            if (answer.budget == 0) {
                answer.enough = false;
                return answer;
            }
            --answer.budget;
            if (const auto index = intervals.find(target)) answer.led_to.insert(*index);
        }
    }
    return answer;
}

TEST(SwitchTables, BlocksSayWhatTheirEntriesSay) {
    std::mt19937 random(41);
    std::size_t led_to = 0, exhausted = 0;
    for (int round = 0; round < 60; ++round) {
        const Bytes text = program(random);
        const Bytes file = Elf64Builder(text).build();
        const auto image = ElfImage::parse(file);
        ASSERT_TRUE(image);
        SwitchTables tables(*image);
        for (int question = 0; question < 4; ++question) {  // of the same file, so that what is kept is used
            std::vector<Intervals::Interval> list;
            for (std::uint64_t at = kText + random() % 500; at < kText + kCode; at += 20 + random() % 900) {
                list.push_back({at, at + 1 + random() % 4});
            }
            std::set<std::uint64_t> objects;
            for (unsigned left = random() % 4; left > 0; --left) objects.insert(kText + kCode + random() % kTables);
            const std::uint64_t budget = question == 0 ? random() % 100'000 : 100'000'000;
            const Intervals intervals(list);
            Answer answer{.enough = true, .budget = budget, .led_to = {}};
            answer.enough = tables.find(intervals, objects, answer.budget,
                                        [&](std::size_t index, std::uint64_t) { answer.led_to.insert(index); });
            EXPECT_EQ(answer, naive(text, intervals, objects, budget)) << round;
            led_to += answer.led_to.size();
            exhausted += answer.enough ? 0 : 1;
        }
    }
    EXPECT_GT(led_to, 100U);
    EXPECT_GT(exhausted, 10U);
}

}  // namespace
}  // namespace cpulevel::cpuid
