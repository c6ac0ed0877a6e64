// CPUID, HWCAP words and names are projections of one set: for every feature they must agree.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

#include "arch/feature.h"

namespace cpulevel::arch {
namespace {

class EveryTable : public testing::TestWithParam<Architecture> {
   protected:
    const FeatureTable& features_ = table(GetParam());

    // A dump with every leaf and subleaf that the table knows, all zero.
    [[nodiscard]] CpuidDump empty_dump() const {
        CpuidDump dump;
        for (const Feature& feature : features_.features()) {
            for (const CpuidPlace& place : feature.cpuid) dump[{place.leaf, place.subleaf}] = {};
        }
        return dump;
    }
    [[nodiscard]] std::array<std::optional<std::uint64_t>, 4> words(const FeatureSet& set) const {
        std::array<std::optional<std::uint64_t>, 4> result;
        for (std::uint8_t word = 0; word < 4; ++word) result[word] = features_.to_hwcap(set, word);
        return result;
    }
    static FeatureSet only(FeatureId id) {
        FeatureSet set;
        set.insert(id);
        return set;
    }
};

TEST_P(EveryTable, EachFeatureComesBackFromItsBits) {
    features_.all().for_each([&](FeatureId id) {
        const Feature& feature = features_[id];
        EXPECT_FALSE(feature.cpuid.empty() && feature.hwcap.empty()) << feature.name << " has no place";
        EXPECT_FALSE(feature.title.empty()) << feature.name;
        EXPECT_FALSE(feature.source.empty()) << feature.name;
        if (!feature.cpuid.empty()) {
            CpuidDump dump = empty_dump();
            features_.apply_to_cpuid(only(id), dump);
            EXPECT_EQ(features_.from_cpuid(dump, std::nullopt), only(id)) << feature.name;
            EXPECT_EQ(features_.from_cpuid(dump, feature.xcr0), only(id)) << feature.name;
            if (feature.xcr0 != 0) {
                const std::uint64_t lacking = ~std::uint64_t{0} ^ (feature.xcr0 & -feature.xcr0);
                EXPECT_TRUE(features_.from_cpuid(dump, lacking).empty()) << feature.name;
            }
        }
        if (!feature.hwcap.empty()) {
            EXPECT_EQ(features_.from_hwcap(words(only(id))), only(id)) << feature.name;
        }
        EXPECT_EQ(features_.find(feature.name), id) << feature.name;
        for (const std::string_view alias : feature.aliases) EXPECT_EQ(features_.find(alias), id) << alias;
    });
}

// The bits of the other features in the same register and word are left alone.
TEST_P(EveryTable, AllFeaturesTogetherSurviveTheRoundTrip) {
    FeatureSet with_cpuid;
    FeatureSet with_hwcap;
    features_.all().for_each([&](FeatureId id) {
        if (!features_[id].cpuid.empty()) with_cpuid.insert(id);
        if (!features_[id].hwcap.empty()) with_hwcap.insert(id);
    });
    CpuidDump dump = empty_dump();
    features_.apply_to_cpuid(features_.all(), dump);
    EXPECT_EQ(features_.from_cpuid(dump, std::nullopt), with_cpuid);
    EXPECT_EQ(features_.from_hwcap(words(features_.all())), with_hwcap);
    features_.apply_to_cpuid({}, dump);
    EXPECT_EQ(dump, empty_dump());
}

TEST_P(EveryTable, LeavesAndWordsListTheirFeatures) {
    FeatureSet from_leaves;
    for (const auto& [key, registers] : empty_dump()) from_leaves |= features_.in_leaf(key.leaf, key.subleaf);
    FeatureSet from_words;
    for (std::uint8_t word = 0; word < 4; ++word) from_words |= features_.in_hwcap_word(word);
    features_.all().for_each([&](FeatureId id) {
        EXPECT_EQ(from_leaves.contains(id), !features_[id].cpuid.empty()) << features_[id].name;
        EXPECT_EQ(from_words.contains(id), !features_[id].hwcap.empty()) << features_[id].name;
    });
    EXPECT_TRUE(features_.in_leaf(0x12345678, 0).empty());
}

TEST_P(EveryTable, AMissingWordSaysNothing) {
    const std::array<std::optional<std::uint64_t>, 2> absent = {std::nullopt, std::nullopt};
    EXPECT_TRUE(features_.from_hwcap(absent).empty());
    EXPECT_TRUE(features_.from_hwcap({}).empty());
}

// A consumer may treat each bit by the one rule it has: fields and features share no bit, nor do two fields.
TEST_P(EveryTable, NoBitHasTwoMeanings) {
    const auto mask_of = [](const CpuidField& field) {
        return (0xFFFFFFFFU >> (31U - field.high)) & (0xFFFFFFFFU << field.low);
    };
    const auto fields = features_.fields();
    for (std::size_t i = 0; i < fields.size(); ++i) {
        EXPECT_FALSE(fields[i].why.empty()) << fields[i].name;
        ASSERT_LE(fields[i].low, fields[i].high);
        ASSERT_LE(fields[i].high, 31);
        for (const Feature& feature : features_.features()) {
            for (const CpuidPlace& place : feature.cpuid) {
                const bool same = place.leaf == fields[i].leaf && place.reg == fields[i].reg &&
                                  place.subleaf >= fields[i].first_subleaf && place.subleaf <= fields[i].last_subleaf;
                EXPECT_FALSE(same && (mask_of(fields[i]) >> place.bit & 1U) != 0)
                    << feature.name << " in " << fields[i].name;
            }
        }
        for (std::size_t j = 0; j < i; ++j) {
            const bool same = fields[i].leaf == fields[j].leaf && fields[i].reg == fields[j].reg &&
                              fields[i].first_subleaf <= fields[j].last_subleaf &&
                              fields[j].first_subleaf <= fields[i].last_subleaf;
            EXPECT_FALSE(same && (mask_of(fields[i]) & mask_of(fields[j])) != 0)
                << fields[i].name << " and " << fields[j].name;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Tables, EveryTable, testing::ValuesIn(architectures().begin(), architectures().end()),
                         [](const auto& instance) { return std::string(name(instance.param)); });

const FeatureTable& x86() { return table(Architecture::x86_64); }

// On x86 the first HWCAP word is leaf 1 EDX itself (Linux arch/x86/include/asm/elf.h, ELF_HWCAP).
TEST(X86Projection, TheFirstHwcapWordIsLeaf1Edx) {
    for (const Feature& feature : x86().features()) {
        for (const CpuidPlace& place : feature.cpuid) {
            if (place.leaf != 1 || place.reg != Register::edx) continue;
            ASSERT_FALSE(feature.hwcap.empty()) << feature.name;
            EXPECT_EQ(feature.hwcap[0].word, 0) << feature.name;
            EXPECT_EQ(feature.hwcap[0].bit, place.bit) << feature.name;
        }
    }
    EXPECT_EQ(x86().to_hwcap(x86().all(), 0), 0xFFEFFBFFU) << "bits 10 and 20 are reserved";
    EXPECT_EQ(x86().to_hwcap(x86().all(), 1), 3U) << "ring3mwait and fsgsbase";
}

// What each XSAVE-managed state needs from leaf 0xD is covered by some field.
TEST(X86Projection, TheFieldsHaveTheRulesOfTheDesign) {
    const std::map<std::string_view, Rule> kRules = {
        {"max_leaf", Rule::Min},           {"max_extended_leaf", Rule::Min},     {"vendor", Rule::Named},
        {"signature", Rule::Named},        {"brand", Rule::Named},               {"cache_parameters", Rule::Named},
        {"initial_apic_id", Rule::Live},   {"topology", Rule::Live},             {"topology_v2", Rule::Live},
        {"extended_apic_id", Rule::Live},  {"clflush_size", Rule::Equal},        {"xcr0_components", Rule::Union},
        {"xsave_size_enabled", Rule::Max}, {"xsave_size_maximum", Rule::Max},    {"xsave_component_size", Rule::Max},
        {"xsave_component_offset", Rule::Equal}, {"avx10_version", Rule::Min},   {"perfmon", Rule::Never},
    };
    std::map<std::string_view, Rule> seen;
    for (const CpuidField& field : x86().fields()) seen[field.name] = field.rule;
    for (const auto& [name, rule] : kRules) {
        ASSERT_TRUE(seen.contains(name)) << name;
        EXPECT_EQ(seen[name], rule) << name;
    }
}

TEST(X86Projection, CopiesOfLeaf1AreSetOnAmdOnly) {
    CpuidDump amd = {{{0, 0}, {0x10, 0x68747541, 0x444D4163, 0x69746E65}}, {{1, 0}, {}},
                     {{0x80000000, 0}, {0x80000021, 0, 0, 0}}, {{0x80000001, 0}, {}}};
    CpuidDump intel = amd;
    intel[{0, 0}] = {0x16, 0x756E6547, 0x6C65746E, 0x49656E69};
    FeatureSet set;
    set.insert(*x86().find("fpu"));
    x86().apply_to_cpuid(set, amd);
    x86().apply_to_cpuid(set, intel);
    EXPECT_EQ((amd[{1, 0}].edx), 1U);
    EXPECT_EQ((intel[{1, 0}].edx), 1U);
    EXPECT_EQ((amd[{0x80000001, 0}].edx), 1U);
    EXPECT_EQ((intel[{0x80000001, 0}].edx), 0U);
}

}  // namespace
}  // namespace cpulevel::arch
