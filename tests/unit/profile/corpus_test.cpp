// Every foreign description of the corpus (CPULEVEL_CORPUS) imports, says who the CPU is, and survives our JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "arch/x86_64.h"
#include "profile/derive.h"
#include "profile/import.h"
#include "profile/profile_json.h"
#include "support.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

std::vector<std::string> files(const std::string& folder) {
    std::vector<std::string> result;
    const char* corpus = std::getenv("CPULEVEL_CORPUS");
    if (corpus == nullptr) return result;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(corpus) / folder)) {
        if (entry.is_regular_file()) result.push_back(entry.path().string());
    }
    std::ranges::sort(result);
    return result;
}

#define NEED_CORPUS() \
    if (std::getenv("CPULEVEL_CORPUS") == nullptr) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS is not set"

void expect_sane(const NodeProfile& profile) {
    constexpr std::array kVendors{"GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls", "  Shanghai  ",
                                  "Shanghai",     "SiS SiS SiS ", "GenuineTMx86", "CyrixInstead", "Geode by NSC", "NexGenDriven",
                                  "RiseRiseRise", "SiS SiS SiS",  "UMC UMC UMC",  "Vortex86 SoC", "Genuine  RDC",
                                  "AMDisbetter!", "TransmetaCPU"};
    EXPECT_THAT(kVendors, ::testing::Contains(profile.identity.vendor));
    EXPECT_GE(profile.identity.family, 4U);
    EXPECT_TRUE(profile.features.contains(test::id("fpu")));
    EXPECT_TRUE(profile.features.is_subset_of(profile.known));
    const auto back = from_json(to_json(profile), profile.name);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), to_json(profile));
    if (!profile.xsave || profile.xsave->maximum_size == 0) return;
    EXPECT_GE(profile.xsave->standard_size, 576U);
    EXPECT_EQ(profile.xsave->xcr0 & 1U, 1U);
    for (const auto& [number, component] : profile.xsave->components) {
        if (component.supervisor) continue;
        EXPECT_GE(component.offset, 576U) << number;
        if ((profile.xsave->xcr0 >> number & 1U) != 0) {
            EXPECT_LE(component.offset + component.size, profile.xsave->maximum_size) << number;
        }
    }
}

TEST(Corpus, InstLatx64) {
    NEED_CORPUS();
    std::size_t seen = 0;
    for (const auto& file : files("instlatx64")) {
        SCOPED_TRACE(file);
        const auto profile = load_profile(file);
        ASSERT_TRUE(profile) << profile.error().message();
        EXPECT_EQ(profile->origin, "InstLatx64");
        expect_sane(*profile);
        ++seen;
    }
    EXPECT_GT(seen, 0U);
}

// What the flags say about the psABI level, by words alone. (The level that libcpuid itself prints is another thing: it
// calls Bulldozer, which has no AVX2, x86-64-v3.)
// SYSCALL is left out: Intel CPUs show it only to 64-bit programs, and some dumps were made by 32-bit ones.
std::string level_of_flags(std::string_view line) {
    const auto words = split(line, ' ');
    const auto all = [&](std::initializer_list<std::string_view> wanted) {
        return std::ranges::all_of(wanted, [&](std::string_view w) { return std::ranges::count(words, w) != 0; });
    };
    if (!all({"lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "sse", "sse2"})) return "";
    if (!all({"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"})) return "x86-64";
    if (!all({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma3", "abm", "movbe", "osxsave"})) return "x86-64-v2";
    if (!all({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})) return "x86-64-v3";
    return "x86-64-v4";
}

// Behind the line of dashes, libcpuid's files say what the dump decodes to; the flags are the last line.
TEST(Corpus, LibcpuidWithTheLevelOfTheFlagsThatLibcpuidFinds) {
    NEED_CORPUS();
    std::size_t seen = 0, levels = 0;
    for (const auto& file : files("libcpuid")) {
        SCOPED_TRACE(file);
        const auto profile = load_profile(file);
        if (file.find("/arm/") != std::string::npos) continue;  // below
        ASSERT_TRUE(profile) << profile.error().message();
        EXPECT_EQ(profile->origin, "libcpuid");
        expect_sane(*profile);
        ++seen;

        const auto text = *read_file(file);
        const auto divider = text.find(std::string(80, '-'));
        ASSERT_NE(divider, std::string::npos);
        const auto decoded = split(trim(std::string_view(text).substr(divider)), '\n');
        // "x86", level, purpose, family, model, stepping (as CPUID has them), and both with the extended parts added.
        ASSERT_GT(decoded.size(), 9U);
        EXPECT_EQ(parse_decimal(trim(decoded[6])), profile->identity.stepping);
        EXPECT_EQ(parse_decimal(trim(decoded[7])), profile->identity.family);
        EXPECT_EQ(parse_decimal(trim(decoded[8])), profile->identity.model);
        if (profile->cpus.size() != 1) continue;  // a hybrid file has a block for each type of core
        EXPECT_EQ(arch::x86_64_level_name(profile->features), level_of_flags(trim(decoded.back())));
        ++levels;
    }
    EXPECT_GT(seen, 0U);
    EXPECT_GT(levels, 0U);
}

// libcpuid's names for what ID registers say, where they are not HWCAP's. Those that HWCAP has not are left out.
const std::map<std::string, std::string>& arm_names() {
    static const std::map<std::string, std::string> all{
        {"advsimd", "asimd"}, {"lse", "atomics"},     {"rdm", "asimdrdm"},  {"fp16", "asimdhp"},  {"dotprod", "asimddp"},
        {"fhm", "asimdfhm"},  {"lrcpc2", "ilrcpc"},   {"lse2", "uscat"},    {"dpb2", "dcpodp"},   {"frintts", "frint"},
        {"ssbs2", "ssbs"},    {"pauth", "paca"},      {"sve_bitperm", "svebitperm"}, {"sve_pmull128", "svepmull"},
        {"sve_sha3", "svesha3"}, {"sve_sm4", "svesm4"}, {"sha256", "sha2"}, {"dpb", "dcpop"}};
    return all;
}

TEST(Corpus, LibcpuidOfArm) {
    NEED_CORPUS();
    std::size_t seen = 0, compared = 0;
    const auto& table = arch::table(arch::Architecture::aarch64);
    for (const auto& file : files("libcpuid/arm")) {
        SCOPED_TRACE(file);
        const auto profile = load_profile(file);
        const auto text = *read_file(file);
        ++seen;
        if (text.find("ARMv7") != std::string::npos || !profile) {
            ASSERT_FALSE(profile);
            EXPECT_THAT(profile.error().message(), ::testing::HasSubstr("32-bit Arm"));
            continue;
        }
        const auto divider = text.find(std::string(80, '-'));
        ASSERT_NE(divider, std::string::npos);
        const auto decoded = split(trim(std::string_view(text).substr(divider)), '\n');
        for (const std::string_view word : split(trim(decoded.back()), ' ')) {
            const auto renamed = arm_names().find(std::string(word));
            const auto id = table.find(renamed == arm_names().end() ? std::string(word) : renamed->second);
            // libcpuid names the instructions alone (field 1); HWCAP means memory that is tagged (field 2).
            if (!id || word == "mte") continue;
            ++compared;
            EXPECT_TRUE(profile->features.contains(*id) || !profile->known.contains(*id)) << word;
        }
    }
    EXPECT_GT(seen, 0U);
    EXPECT_GT(compared, 10U);
}

TEST(Corpus, CpuinfoExtracts) {
    NEED_CORPUS();
    std::size_t seen = 0;
    for (const auto& file : files("archspec")) {
        SCOPED_TRACE(file);
        const auto profile = load_profile(file);
        const auto text = *read_file(file);
        const bool arm = text.find("CPU implementer") != std::string::npos || text.find("FEAT_") != std::string::npos;
        const bool power = text.find("POWER") != std::string::npos, riscv = text.find("rv64") != std::string::npos;
        ASSERT_TRUE(profile) << profile.error().message();
        EXPECT_EQ(profile->architecture, arm     ? arch::Architecture::aarch64
                                         : power ? arch::Architecture::ppc64le
                                         : riscv ? arch::Architecture::riscv64
                                                 : arch::Architecture::x86_64);
        EXPECT_FALSE(profile->features.empty());
        for (const std::string& note : profile->notes) {
            EXPECT_EQ(note.find("not known here"), std::string::npos) << note;
        }
        const auto back = from_json(to_json(*profile), "x");
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_EQ(to_json(*back), to_json(*profile));
        ++seen;
    }
    EXPECT_GT(seen, 0U);
}

}  // namespace
}  // namespace cpulevel::profile
