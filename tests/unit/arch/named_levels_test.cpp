#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "arch/feature.h"
#include "arch/x86_64.h"

namespace cpulevel::arch {
namespace {

FeatureSet set_of(const NamedLevel& level) {
    FeatureSet set;
    for (const FeatureId id : level.features) set.insert(id);
    return set;
}

FeatureSet set_of(const FeatureTable& features, std::initializer_list<std::string_view> names) {
    FeatureSet set;
    for (const std::string_view name : names) set.insert(features.find(name).value());
    return set;
}

const NamedLevel& level(Architecture architecture, std::string_view name) {
    const NamedLevel* found = table(architecture).find_level(name);
    if (found == nullptr) throw std::runtime_error("no level " + std::string(name));
    return *found;
}

TEST(NamedLevels, AreClosedAndShowNothingThatIsNever) {
    std::size_t seen = 0;
    for (const Architecture architecture : architectures()) {
        const FeatureTable& features = table(architecture);
        for (const NamedLevel& named : features.levels()) {
            ++seen;
            const FeatureSet set = set_of(named);
            EXPECT_EQ(set.size(), named.features.size()) << named.name;
            EXPECT_EQ(features.closed_subset(set), set) << named.name;
            EXPECT_EQ(features.with_needs(set), set) << named.name;
            EXPECT_FALSE(named.source.empty()) << named.name;
            set.for_each([&](FeatureId id) {
                EXPECT_EQ(features[id].rule, Rule::And) << named.name << ": " << features[id].name;
                EXPECT_TRUE(features[id].user) << named.name << ": " << features[id].name;
            });
        }
    }
    EXPECT_GE(seen, 30U);
}

// x86-64 psABI, table "Micro-Architecture Levels". OSFXSR and SCE are control bits; SCE is CPUID's syscall.
TEST(X86Levels, AreThoseOfThePsabi) {
    const FeatureTable& features = table(Architecture::x86_64);
    const std::array<std::pair<std::string_view, FeatureSet>, 4> kPsabi = {{
        {"x86-64", set_of(features, {"cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2"})},
        {"x86-64-v2", set_of(features, {"cx16", "lahf_lm", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"})},
        {"x86-64-v3", set_of(features, {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "osxsave"})},
        {"x86-64-v4", set_of(features, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})},
    }};
    // Beyond the psABI's list: what every x86-64 processor has, and what the listed ones need.
    FeatureSet expected = set_of(features, {"lm", "tsc", "clflush"});
    FeatureSet before;
    for (const auto& [name, listed] : kPsabi) {
        expected |= listed;
        if (name == "x86-64-v3") expected |= set_of(features, {"xsave"});
        const FeatureSet actual = set_of(level(Architecture::x86_64, name));
        EXPECT_EQ(actual, expected) << name;
        EXPECT_TRUE(before.is_subset_of(actual)) << name << " lacks something of the level before it";
        EXPECT_NE(before, actual) << name;
        before = actual;
        EXPECT_EQ(x86_64_level_name(actual), name);
        listed.for_each([&](FeatureId id) {
            FeatureSet less = actual;
            less.erase(id);
            EXPECT_LT(x86_64_level_name(less), name) << "without " << features[id].name;
        });
    }
    EXPECT_EQ(x86_64_level_name({}), "");
    EXPECT_EQ(x86_64_level_name(features.all()), "x86-64-v4");
}

// With XSAVEC shown, ld.so would take the compacted size of a machine that a named level does not know.
TEST(X86Levels, NoneShowsXsavecOrMachineState) {
    const FeatureTable& features = table(Architecture::x86_64);
    for (const NamedLevel& named : features.levels()) {
        for (const FeatureId id : named.features) {
            for (const char* hidden : {"xsavec", "xsaves", "ospke", "pku", "shstk", "mpx", "hypervisor", "rtm", "hle"}) {
                EXPECT_NE(features[id].name, hidden) << named.name;
            }
        }
    }
}

TEST(X86Levels, MicroarchitecturesGrow) {
    const auto is_within = [](const char* smaller, const char* larger) {
        return set_of(level(Architecture::x86_64, smaller)).is_subset_of(set_of(level(Architecture::x86_64, larger)));
    };
    const std::array<const char*, 7> kIntel = {"x86-64-v2",  "nehalem", "sandybridge", "haswell",
                                               "broadwell", "skylake", "skylake-avx512"};
    for (std::size_t i = 1; i < kIntel.size(); ++i) EXPECT_TRUE(is_within(kIntel[i - 1], kIntel[i])) << kIntel[i];
    EXPECT_TRUE(is_within("x86-64-v3", "haswell"));
    EXPECT_TRUE(is_within("x86-64-v4", "skylake-avx512"));
    EXPECT_TRUE(is_within("x86-64-v4", "sapphirerapids"));
    EXPECT_TRUE(is_within("x86-64-v3", "znver1"));
    EXPECT_TRUE(is_within("x86-64-v4", "znver4"));
    EXPECT_FALSE(is_within("x86-64-v3", "sandybridge"));
}

TEST(ArmLevels, GrowAlongBothLines) {
    FeatureSet before;
    for (int minor = 0; minor <= 9; ++minor) {
        const FeatureSet set = set_of(level(Architecture::aarch64, "armv8." + std::to_string(minor) + "-a"));
        EXPECT_TRUE(before.is_subset_of(set)) << minor;
        EXPECT_LT(before.size(), set.size()) << minor;
        before = set;
    }
    for (int minor = 0; minor <= 4; ++minor) {
        const FeatureSet nine = set_of(level(Architecture::aarch64, "armv9." + std::to_string(minor) + "-a"));
        const FeatureSet eight = set_of(level(Architecture::aarch64, "armv8." + std::to_string(minor + 5) + "-a"));
        EXPECT_TRUE(eight.is_subset_of(nine)) << minor;
        EXPECT_TRUE(set_of(table(Architecture::aarch64), {"sve", "sve2"}).is_subset_of(nine)) << minor;
    }
    EXPECT_EQ(set_of(level(Architecture::aarch64, "armv8-a")), set_of(level(Architecture::aarch64, "armv8.0-a")));
    EXPECT_EQ(set_of(level(Architecture::aarch64, "armv9-a")), set_of(level(Architecture::aarch64, "armv9.0-a")));
}

// Real HWCAP words (QEMU's models under Linux 6.1, and the levels that the cores' manuals state).
TEST(ArmLevels, FitRealCores) {
    const FeatureTable& arm = table(Architecture::aarch64);
    const auto shown = [&](std::uint64_t hwcap) {
        const std::array<std::optional<std::uint64_t>, 1> words = {hwcap};
        return arm.from_hwcap(words);
    };
    const auto fits = [&](const char* name, std::uint64_t hwcap) {
        return set_of(level(Architecture::aarch64, name)).is_subset_of(shown(hwcap));
    };
    EXPECT_TRUE(fits("armv8.0-a", 0x8ff)) << "Cortex-A72";
    EXPECT_FALSE(fits("armv8.1-a", 0x8ff)) << "Cortex-A72";
    EXPECT_TRUE(fits("armv8.2-a", 0x119fff)) << "Neoverse N1";
    EXPECT_FALSE(fits("armv8.3-a", 0x119fff)) << "Neoverse N1";
}

TEST(NamedLevels, AreFoundWithoutCase) {
    EXPECT_EQ(level(Architecture::x86_64, "X86-64-V3").name, "x86-64-v3");
    EXPECT_EQ(table(Architecture::x86_64).find_level("x86-64-v5"), nullptr);
    EXPECT_EQ(table(Architecture::aarch64).find_level("x86-64"), nullptr);
}

TEST(KnownMaxima, AreTheLargestThatWereMeasured) {
    EXPECT_EQ(known_maxima().xsave_area, 11008U);
    EXPECT_EQ(known_maxima().minimum_signal_stack, 11952U);
}

}  // namespace
}  // namespace cpulevel::arch
