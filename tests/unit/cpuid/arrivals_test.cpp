// The raw scans against naive ones, and what may move against what the decoder says about it, over random bytes.
#include "cpuid/arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "cpuid/decoder.h"
#include "cpuid/movable.h"

namespace cpulevel::cpuid {
namespace {

using Found = std::set<std::size_t>;

constexpr std::uint64_t kAddress = 0x401000;

// Many opcodes of branches, and displacements that stay near, so that there is something to find.
std::vector<std::byte> random_code(std::mt19937& random, std::size_t size) {
    constexpr std::array<unsigned, 12> kFrequent{0xE8, 0xE9, 0xEB, 0x0F, 0x85, 0x74, 0xC7, 0xF8, 0x8D, 0x05, 0x00, 0xFF};
    std::vector<std::byte> code(size);
    for (std::byte& each : code) {
        each = static_cast<std::byte>(random() % 2 == 0 ? kFrequent[random() % kFrequent.size()] : random() & 0xFFU);
    }
    return code;
}

// Four random bytes are never a displacement that stays in there: plants some that do, most of them behind opcodes.
void plant_displacements(std::mt19937& random, std::vector<std::byte>& code) {
    constexpr std::array<std::array<unsigned, 2>, 6> kOpcodes{
        {{0x90, 0xE8}, {0x90, 0xE9}, {0x0F, 0x84}, {0xC7, 0xF8}, {0x8D, 0x3D}, {0x8B, 0x05}}};
    for (std::size_t at = 2; at + 4 <= code.size(); at += 4 + random() % 16) {
        const auto displacement = static_cast<std::int32_t>(random() % code.size()) - static_cast<std::int32_t>(at + 4);
        std::memcpy(&code[at], &displacement, sizeof displacement);
        const auto& opcode = kOpcodes[random() % kOpcodes.size()];
        code[at - 2] = static_cast<std::byte>(opcode[0]);
        code[at - 1] = static_cast<std::byte>(opcode[1]);
    }
}

std::vector<Intervals::Interval> random_intervals(std::mt19937& random, std::size_t code_size) {
    std::vector<Intervals::Interval> intervals;
    for (std::uint64_t at = kAddress + random() % 50; at + 20 < kAddress + code_size; at += 20 + random() % 200) {
        intervals.push_back({at, at + 1 + random() % 19});
    }
    return intervals;
}

std::optional<std::size_t> naive_find(const std::vector<Intervals::Interval>& intervals, std::uint64_t address) {
    for (std::size_t index = 0; index < intervals.size(); ++index) {
        if (address >= intervals[index].begin && address < intervals[index].end) return index;
    }
    return std::nullopt;
}

template <class T>
T read(const std::vector<std::byte>& bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

// Every branch that a decoder would see if it started at any byte.
TEST(Arrivals, EveryDirectBranchFromAnyByteIsFound) {
    std::mt19937 random(20);
    auto decoder = Decoder::open(CodeMode::bits64);
    ASSERT_TRUE(decoder);
    std::size_t long_branches = 0;
    std::size_t short_branches = 0;
    for (int round = 0; round < 40; ++round) {
        auto code = random_code(random, round % 2 == 0 ? 2000 : 9000);  // the scan goes by blocks of 4096
        plant_displacements(random, code);
        const auto list = random_intervals(random, code.size());
        const Intervals intervals(list);
        Found found;
        find_long_arrivals(code, kAddress, intervals, [&](std::size_t index, std::uint64_t) { found.insert(index); });
        for (std::size_t index = 0; index < list.size(); ++index) {
            if (has_short_arrival(code, kAddress, list[index], 0, 0)) found.insert(index);
        }
        for (std::size_t at = 0; at < code.size(); ++at) {
            const auto instruction = decoder->decode(std::span(code).subspan(at), kAddress + at);
            if (!instruction || !instruction->target) continue;
            const auto index = naive_find(list, *instruction->target);
            if (!index) continue;
            const unsigned prefixes = read_prefixes(std::span(code).subspan(at), CodeMode::bits64).count;
            ++(instruction->length == prefixes + 2 ? short_branches : long_branches);
            EXPECT_TRUE(found.contains(*index)) << "round " << round << ", branch at " << at;
        }
    }
    EXPECT_GT(short_branches, 100U);  // or the test is none
    EXPECT_GT(long_branches, 100U);
}

TEST(Arrivals, LongOnesAreThoseOfTheirDefinition) {
    std::mt19937 random(21);
    std::size_t arrivals = 0;
    for (int round = 0; round < 100; ++round) {
        auto code = random_code(random, round % 3 == 0 ? 5 + random() % 50 : round % 3 == 1 ? 1000 : 4090 + random() % 5000);
        const auto list = random_intervals(random, code.size());
        plant_displacements(random, code);
        Found found;
        find_long_arrivals(code, kAddress, Intervals(list), [&](std::size_t index, std::uint64_t) { found.insert(index); });
        Found expected;
        for (std::size_t at = 1; at + 4 <= code.size(); ++at) {
            const auto before = std::to_integer<unsigned>(code[at - 1]);
            const auto second = at >= 2 ? std::to_integer<unsigned>(code[at - 2]) : 0U;
            const bool leads = before == 0xE8 || before == 0xE9 || (second == 0x0F && before >= 0x80 && before <= 0x8F) ||
                               (second == 0xC7 && before == 0xF8) ||
                               (second == 0x8D && (before >> 6U) == 0 && (before & 7U) == 5);
            const auto target = kAddress + at + 4 + static_cast<std::uint64_t>(std::int64_t{read<std::int32_t>(code, at)});
            if (const auto index = naive_find(list, target); leads && index) expected.insert(*index);
        }
        EXPECT_EQ(found, expected);
        arrivals += expected.size();
    }
    EXPECT_GT(arrivals, 200U);
}

TEST(Intervals, AnyAddressFromAnySpan) {
    std::mt19937_64 random(23);
    EXPECT_FALSE(Intervals({}).find(0));
    for (int round = 0; round < 200; ++round) {
        const std::uint64_t gap = std::uint64_t{1} << (2 + round % 40);
        std::vector<Intervals::Interval> list;
        std::uint64_t at = random() % 2 == 0 ? 0 : random() >> 8U;
        for (unsigned left = 1 + static_cast<unsigned>(random() % 20); left > 0; --left) {
            const std::uint64_t begin = at + random() % gap;
            at = begin + 1 + random() % gap;
            list.push_back({begin, at});
        }
        const Intervals intervals(list);
        for (const Intervals::Interval& each : list) {
            for (const std::uint64_t address : {each.begin - 1, each.begin, each.begin + (each.end - each.begin) / 2, each.end - 1,
                                                each.end, each.end + gap, random()}) {
                EXPECT_EQ(intervals.find(address), naive_find(list, address));
            }
        }
    }
}

TEST(Intervals, TouchesWhatNaiveOnesTouch) {
    std::mt19937 random(25);
    for (int round = 0; round < 300; ++round) {
        const auto list = random_intervals(random, 1000);
        const Intervals intervals(list);
        const std::uint64_t first = kAddress - 100 + random() % 1200;
        const std::uint64_t last = first + random() % (round % 2 == 0 ? 20 : 300);
        EXPECT_EQ(intervals.touches(first, last), std::ranges::any_of(list, [&](const Intervals::Interval& each) {
            return each.begin <= last && each.end > first;
        }));
    }
    EXPECT_FALSE(Intervals({}).touches(0, ~std::uint64_t{0}));
}

TEST(Intervals, ClustersHoldAllOrThereAreNone) {
    std::mt19937_64 random(26);
    unsigned with = 0, without = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<Intervals::Interval> list;
        std::uint64_t at = random() >> 16U;
        for (unsigned left = 1 + static_cast<unsigned>(random() % 8); left > 0; --left) {
            list.push_back({at, at + 1 + random() % 19});
            at = list.back().end + (std::uint64_t{1} << (4 + random() % 20));
        }
        const Intervals intervals(list);
        const auto clusters = intervals.clusters();
        ++(clusters.empty() ? without : with);
        for (const Intervals::Interval& each : list) {
            EXPECT_TRUE(clusters.empty() || std::ranges::any_of(clusters, [&](const Intervals::Interval& cluster) {
                return cluster.begin <= each.begin && each.end <= cluster.end;
            }));
        }
    }
    EXPECT_GT(with, 20U);
    EXPECT_GT(without, 20U);
}

// In one cluster, in several, and scattered too much for clusters; around the middle and the ends of 32 bits.
TEST(Arrivals, PointersAndImmediates) {
    std::mt19937_64 random(22);
    unsigned hits = 0;
    for (unsigned round = 0; round < 3000; ++round) {
        const std::uint64_t base = std::array<std::uint64_t, 4>{0x401000, 0x7fff'f000, 0xffff'f000, 0x7fff'ffff'f000}[round % 4];
        const std::uint64_t stride = std::array<std::uint64_t, 4>{0x100, 0xff01, 0x300'1001, 0x4000'0001}[random() % 4];
        std::vector<Intervals::Interval> list;
        for (unsigned i = 0; i < 1 + round % 5; ++i) list.push_back({base + i * stride + 1, base + i * stride + 1 + 1 + random() % 19});
        const Intervals intervals(list);
        std::vector<std::byte> bytes(8 + random() % 600);
        for (std::byte& each : bytes) each = static_cast<std::byte>(random() % 2 == 0 ? 0 : random());
        for (unsigned planted = 0; planted < 3; ++planted) {
            const std::size_t at = random() % (bytes.size() - 7);
            const std::uint64_t value = list[random() % list.size()].begin - 2 + random() % 0x18;
            std::memcpy(&bytes[at], &value, random() % 2 == 0 ? 4 : 8);
        }
        Found pointers, immediates, expected_pointers, expected_immediates;
        find_pointers(bytes, intervals, [&](std::size_t index, std::uint64_t value) {
            EXPECT_EQ(naive_find(list, value), index);
            pointers.insert(index);
        });
        find_immediates(bytes, intervals, [&](std::size_t index, std::uint64_t value) {
            EXPECT_EQ(naive_find(list, value), index);
            immediates.insert(index);
        });
        for (std::size_t at = 0; at + 4 <= bytes.size(); ++at) {
            if (const auto index = naive_find(list, read<std::uint32_t>(bytes, at))) expected_immediates.insert(*index);
            if (at % 4 != 0 || at + 8 > bytes.size()) continue;
            if (const auto index = naive_find(list, read<std::uint64_t>(bytes, at))) expected_pointers.insert(*index);
        }
        EXPECT_EQ(pointers, expected_pointers) << round;
        EXPECT_EQ(immediates, expected_immediates) << round;
        hits += static_cast<unsigned>(pointers.size() + immediates.size());
    }
    EXPECT_GT(hits, 1000U);
}

// Sites far from the code that leads to them, some in reach and some not, and few enough for clusters.
TEST(Arrivals, LongOnesFromFarAway) {
    std::mt19937_64 random(27);
    std::size_t arrivals = 0;
    for (unsigned round = 0; round < 2000; ++round) {
        const std::uint64_t address = std::uint64_t{1} << (20 + random() % 30);
        std::vector<std::byte> code(200 + random() % 1000);
        for (std::byte& each : code) each = static_cast<std::byte>(random() % 3 == 0 ? 0xE8 : random());
        std::vector<Intervals::Interval> list;
        std::uint64_t at = address - 0x10000 + (std::uint64_t{1} << (random() % 33));
        for (unsigned i = 0; i < 1 + round % 5; ++i) {
            list.push_back({at, at + 1 + random() % 19});
            at = list.back().end + (std::uint64_t{1} << (random() % 24));
        }
        for (unsigned planted = 0; planted < 4; ++planted) {
            const std::size_t place = 2 + random() % (code.size() - 6);
            const auto target = list[random() % list.size()].begin + random() % 19;
            const auto displacement = static_cast<std::uint32_t>(target - address - place - 4);
            std::memcpy(&code[place], &displacement, sizeof displacement);
            code[place - 1] = std::byte{0xE9};
        }
        Found found, expected;
        find_long_arrivals(code, address, Intervals(list), [&](std::size_t index, std::uint64_t) { found.insert(index); });
        for (std::size_t place = 1; place + 4 <= code.size(); ++place) {
            const auto before = std::to_integer<unsigned>(code[place - 1]);
            const auto second = place >= 2 ? std::to_integer<unsigned>(code[place - 2]) : 0U;
            const bool leads = (before & 0xFEU) == 0xE8 || (second == 0x0F && (before & 0xF0U) == 0x80) ||
                               (second == 0xC7 && before == 0xF8) || (second == 0x8D && (before & 0xC7U) == 5);
            const auto target = address + place + 4 + static_cast<std::uint64_t>(std::int64_t{read<std::int32_t>(code, place)});
            if (const auto index = naive_find(list, target); leads && index) expected.insert(*index);
        }
        EXPECT_EQ(found, expected) << round;
        arrivals += expected.size();
    }
    EXPECT_GT(arrivals, 1000U);
}

TEST(Arrivals, LeaTargetsAreThoseOfTheirDefinition) {
    std::mt19937 random(28);
    for (int round = 0; round < 100; ++round) {
        const auto code = random_code(random, random() % 400);
        std::set<std::uint64_t> expected;
        for (std::size_t at = 0; at + 6 <= code.size(); ++at) {
            if (code[at] != std::byte{0x8D} || (std::to_integer<unsigned>(code[at + 1]) & 0xC7U) != 5) continue;
            expected.insert(kAddress + at + 6 + static_cast<std::uint64_t>(std::int64_t{read<std::int32_t>(code, at + 2)}));
        }
        EXPECT_TRUE(std::ranges::equal(lea_targets(code, kAddress), expected));
    }
}

// What moves must never be something that the decoder knows to lead elsewhere.
TEST(Movable, NeverABranchOrSystemCallOrCpuid) {
    std::mt19937 random(23);
    auto decoder = Decoder::open(CodeMode::bits64);
    ASSERT_TRUE(decoder);
    std::size_t moved = 0;
    std::size_t relative = 0;
    for (int round = 0; round < 300000; ++round) {
        std::array<std::byte, kMaximumInstructionLength> bytes{};
        for (std::byte& each : bytes) each = static_cast<std::byte>(random() & 0xFFU);
        const auto instruction = decoder->decode(bytes, kAddress);
        if (!instruction) continue;
        const auto whole = std::span<const std::byte>(bytes).first(instruction->length);
        const auto result = movable(whole);
        if (!result) continue;
        ++moved;
        EXPECT_EQ(instruction->flow, Flow::next);
        EXPECT_FALSE(instruction->target || instruction->system_call || instruction->cpuid_opcode);
        if (!result->rip_displacement) continue;
        ++relative;
        EXPECT_LE(*result->rip_displacement + 4, instruction->length);
        EXPECT_EQ(std::to_integer<unsigned>(whole[*result->rip_displacement - 1]) & 0xC7U, 0x05U);
    }
    EXPECT_GT(moved, 10000U);
    EXPECT_GT(relative, 100U);
}

}  // namespace
}  // namespace cpulevel::cpuid
