// What holds for every level: no feature bit outside the level is shown, at any place, on any machine; and the flat
// table answers every question as the table that it was made from.
#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "cpuid/flat_table.h"
#include "cpuid/virtual_cpuid.h"
#include "example_cpus.h"
#include "level/expression.h"

namespace cpulevel::cpuid {
namespace {

using arch::CpuidRegisters;

const arch::FeatureTable& table() { return arch::table(arch::Architecture::x86_64); }

// A machine that answers ones wherever it is asked.
CpuidRegisters ones(std::uint32_t, std::uint32_t) { return {~0U, ~0U, ~0U, ~0U}; }

bool in_some_range(const VirtualCpuid& cpuid, std::uint32_t leaf) {
    return std::ranges::any_of(cpuid.ranges(),
                               [&](const VirtualCpuid::Range& r) { return r.first <= leaf && leaf <= r.last; });
}

void expect_no_feature_outside(const level::Level& level, const VirtualCpuid& cpuid) {
    for (std::size_t i = 0; i < table().features().size(); ++i) {
        const arch::FeatureId id{static_cast<std::uint16_t>(i)};
        if (level.features.contains(id)) continue;
        for (const arch::CpuidPlace& place : table()[id].cpuid) {
            // Above the maximum an Intel CPU gives another leaf's data, which says nothing of this feature.
            if (!in_some_range(cpuid, place.leaf)) continue;
            const std::uint32_t shown = cpuid.answer(place.leaf, place.subleaf, ones).get(place.reg);
            EXPECT_EQ((shown >> place.bit) & 1U, 0U)
                << level.name << " shows " << table()[id].name << " in leaf " << std::hex << place.leaf;
        }
    }
}

void expect_features_of(const level::Level& level, const VirtualCpuid& cpuid) {
    level.features.for_each([&](arch::FeatureId id) {
        const arch::Feature& feature = table()[id];
        if (feature.cpuid.empty()) return;
        const arch::CpuidPlace& place = feature.cpuid.front();
        const std::uint32_t shown = cpuid.answer(place.leaf, place.subleaf, ones).get(place.reg);
        EXPECT_EQ((shown >> place.bit) & 1U, 1U) << level.name << " does not show " << feature.name;
    });
}

level::Level random_level(std::mt19937_64& random) {
    arch::CpuidDump node = random() % 2 == 0 ? intel_host() : amd_host();
    if (random() % 3 == 0) node[{0, 0}].eax = static_cast<std::uint32_t>(random() % 0x25);
    if (random() % 3 == 0) node[{0x80000000, 0}].eax = 0x80000000 + static_cast<std::uint32_t>(random() % 0x28);
    level::Level level = level_of_node(node);
    level.name = "random";
    const auto keep = random() % 100;
    arch::FeatureSet some;
    level.features.for_each([&](arch::FeatureId id) {
        if (random() % 100 < keep) some.insert(id);
    });
    level.features = table().closed_subset(some);
    for (auto& [key, registers] : level.cpuid) {  // a level that says more than it should
        if (random() % 8 == 0) registers.ecx |= static_cast<std::uint32_t>(random());
    }
    if (random() % 4 == 0) level.identity.reset();
    if (random() % 2 == 0) {
        level.xsave.emplace().visible = 7;
        level.xsave->standard_size = static_cast<std::uint32_t>(random() % 12000);
        level.xsave->components[2] = {.size = 256, .offset = 576};
    }
    return level;
}

template <class Check>
void for_random_levels(Check&& check) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        const level::Level level = random_level(random);
        const arch::CpuidDump host = random() % 2 == 0 ? intel_host() : amd_host();
        check(level, host, VirtualCpuid::build(level, host), random);
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    }
}

TEST(VirtualCpuidProperty, NamedLevelsShowTheirFeaturesAndNoOthersOnAnyMachine) {
    std::size_t levels = 0;
    for (const arch::NamedLevel& named : table().levels()) {
        const auto level = level::parse_level(named.name, arch::Architecture::x86_64);
        ASSERT_TRUE(level) << level.error().message();
        for (const arch::CpuidDump& host : {intel_host(), amd_host(), arch::CpuidDump{}}) {
            const auto cpuid = VirtualCpuid::build(*level, host);
            expect_no_feature_outside(*level, cpuid);
            expect_features_of(*level, cpuid);
        }
        ++levels;
    }
    EXPECT_GE(levels, 4U);
}

TEST(VirtualCpuidProperty, RandomLevelsShowNoFeatureOutside) {
    for_random_levels([](const level::Level& level, const arch::CpuidDump&, const VirtualCpuid& cpuid,
                         std::mt19937_64&) { expect_no_feature_outside(level, cpuid); });
}

TEST(VirtualCpuidProperty, FixedAndLiveBitsNeverOverlap) {
    for_random_levels([](const level::Level&, const arch::CpuidDump&, const VirtualCpuid& cpuid, std::mt19937_64&) {
        for (const auto& [key, entry] : cpuid.entries()) {
            using enum arch::Register;
            for (const auto which : {eax, ebx, ecx, edx}) {
                EXPECT_EQ(entry.fixed.get(which) & entry.live.get(which), 0U) << std::hex << key.leaf;
            }
        }
    });
}

std::uint32_t random_leaf(const VirtualCpuid& cpuid, std::mt19937_64& random) {
    if (random() % 2 == 0) {
        return std::next(cpuid.entries().begin(), static_cast<long>(random() % cpuid.entries().size()))->first.leaf;
    }
    constexpr std::array<std::uint32_t, 5> kNear{0, 0x40000000, 0x80000000, 0xc0000000, 0xfffffff0};
    if (random() % 4 == 0) return static_cast<std::uint32_t>(random());
    return kNear.at(random() % kNear.size()) + static_cast<std::uint32_t>(random() % 0x30);
}

TEST(FlatTableProperty, AnswersEveryQuestionAsTheVirtualCpuid) {
    for_random_levels([](const level::Level&, const arch::CpuidDump& host, const VirtualCpuid& cpuid,
                         std::mt19937_64& random) {
        ASSERT_FALSE(cpuid.entries().empty());
        const RealCpuid real = executed_on(host, static_cast<std::uint32_t>(random() % 256));
        auto bytes = flatten(cpuid);
        // Position-independent: it answers from an odd address too.
        bytes.insert(bytes.begin(), std::byte{0x90});
        const auto flat = FlatTable::view(std::span(bytes).subspan(1));
        ASSERT_TRUE(flat);
        for (int query = 0; query < 400; ++query) {
            const std::uint32_t leaf = random_leaf(cpuid, random);
            const auto subleaf = static_cast<std::uint32_t>(random() % 4 == 0 ? random() : random() % 20);
            EXPECT_EQ(flat->lookup(leaf, subleaf, real), cpuid.answer(leaf, subleaf, real))
                << std::hex << leaf << "." << subleaf;
        }
    });
}

TEST(FlatTable, EntriesAreSortedAndListedSubleavesComeBeforeTheOthers) {
    const auto cpuid = VirtualCpuid::build(level_of_node(intel_host()), intel_host());
    const auto bytes = flatten(cpuid);
    const auto flat = FlatTable::view(bytes);
    ASSERT_TRUE(flat);
    ASSERT_EQ(flat->header().entry_count, cpuid.entries().size() + cpuid.other_subleaves().size());
    for (std::size_t i = 1; i < flat->header().entry_count; ++i) {
        const FlatEntry before = flat->entry(i - 1);
        const FlatEntry after = flat->entry(i);
        EXPECT_LT(std::tuple(before.leaf, before.match, before.subleaf), std::tuple(after.leaf, after.match, after.subleaf));
    }
    EXPECT_FALSE(cpuid.other_subleaves().empty());
}

TEST(FlatTable, RefusesBytesThatAreNoWholeTable) {
    const auto bytes = flatten(VirtualCpuid::build(level_of_node(intel_host()), intel_host()));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        EXPECT_FALSE(FlatTable::view(std::span(bytes).first(cut))) << cut;
    }
    for (const std::size_t at : {0U, 4U, 8U, 12U}) {  // magic, version, size, count
        auto broken = bytes;
        broken.at(at) ^= std::byte{0x40};
        EXPECT_FALSE(FlatTable::view(broken)) << at;
    }
}

}  // namespace
}  // namespace cpulevel::cpuid
