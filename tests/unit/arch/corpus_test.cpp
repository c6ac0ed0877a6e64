// Real processors: what our tables decode a dump to against what libcpuid says of the same dump.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>

#include "arch/feature.h"
#include "arch/x86_64.h"
#include "libcpuid_dump.h"

namespace cpulevel::arch::test {
namespace {

const FeatureTable& features() { return table(Architecture::x86_64); }

// libcpuid's names that mean something else in the kernel or here, so that they are no aliases.
std::optional<FeatureId> find_libcpuid_flag(const std::string& flag) {
    static const std::map<std::string, std::string> kNames = {
        {"constant_tsc", "invtsc"},      // the kernel's constant_tsc is set by family too, without the bit
        {"aperfmperf", "eff_freq_ro"},   // libcpuid: 0x80000007 EDX[10]; the kernel: 6 ECX[0]
        {"pfi", "proc_feedback"},
        {"pa", "acc_power"},
    };
    const auto renamed = kNames.find(flag);
    return features().find(renamed == kNames.end() ? flag : renamed->second);
}

// Why we see a feature that libcpuid does not report. Each line must be used by some dump.
struct Explanation {
    std::string vendor;
    std::set<std::string> features;
    std::string reason;
};
const std::array kExplanations = {
    Explanation{"GenuineIntel", {"syscall"}, "libcpuid shows the bit as the dump has it; 32-bit programs see it clear"},
    Explanation{"GenuineIntel", {"3dnowprefetch"}, "libcpuid reads this bit of leaf 0x80000001 ECX on AMD only"},
    Explanation{"GenuineIntel", {"ht"}, "libcpuid clears it where the package has one logical CPU"},
    Explanation{"CentaurHauls", {"3dnowprefetch", "3dnow", "fxsr_opt", "nx"},
                "libcpuid reads these bits of leaf 0x80000001 on AMD (nx also on Intel) only"},
    Explanation{"CentaurHauls", {"acpi", "est", "pbe", "ss", "tm", "tm2", "vmx", "xtpr"},
                "libcpuid reads these bits of leaf 1 on Intel only"},
};

class LibcpuidCorpus : public testing::Test {
   protected:
    void SetUp() override {
        dumps_ = libcpuid_corpus();
        if (dumps_.empty()) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS is unset or has no libcpuid dumps";
    }
    std::vector<LibcpuidDump> dumps_;
};

TEST_F(LibcpuidCorpus, EveryFlagNameIsKnown) {
    for (const LibcpuidDump& dump : dumps_) {
        for (const std::string& flag : dump.flags) {
            EXPECT_TRUE(find_libcpuid_flag(flag)) << flag << " in " << dump.name;
        }
    }
}

TEST_F(LibcpuidCorpus, DecodesToTheFlagsThatTheCorpusSays) {
    FeatureSet vocabulary;  // what libcpuid can say at all
    for (const LibcpuidDump& dump : dumps_) {
        for (const std::string& flag : dump.flags) {
            if (const auto id = find_libcpuid_flag(flag)) vocabulary.insert(*id);
        }
    }
    ASSERT_GT(vocabulary.size(), 90U);
    std::set<const Explanation*> used;
    for (const LibcpuidDump& dump : dumps_) {
        const FeatureSet ours = features().from_cpuid(dump.registers, std::nullopt);
        const std::string vendor = x86_identity(dump.registers).vendor;
        FeatureSet theirs;
        for (const std::string& flag : dump.flags) {
            if (const auto id = find_libcpuid_flag(flag)) theirs.insert(*id);
        }
        (theirs - ours).for_each([&](FeatureId id) {
            ADD_FAILURE() << dump.name << ": libcpuid says " << features()[id].name << ", we do not";
        });
        ((ours & vocabulary) - theirs).for_each([&](FeatureId id) {
            const auto why = std::ranges::find_if(kExplanations, [&](const Explanation& explanation) {
                return explanation.vendor == vendor && explanation.features.contains(std::string(features()[id].name));
            });
            if (why == kExplanations.end()) {
                ADD_FAILURE() << dump.name << " (" << vendor << "): we say " << features()[id].name
                              << ", libcpuid does not, and nothing explains it";
            } else {
                used.insert(&*why);
            }
        });
    }
    for (const Explanation& explanation : kExplanations) {
        EXPECT_TRUE(used.contains(&explanation)) << "explains nothing any more: " << explanation.reason;
    }
}

// The level as the psABI has it, from the flags that libcpuid prints. syscall is left out: see kExplanations.
std::string psabi_level(const std::vector<std::string>& flags) {
    static const std::array<std::pair<std::string, std::vector<std::string>>, 4> kLevels = {{
        {"x86-64", {"lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "sse", "sse2"}},
        {"x86-64-v2", {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}},
        {"x86-64-v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma3", "abm", "movbe", "osxsave"}},
        {"x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}},
    }};
    std::string best;
    for (const auto& [name, needed] : kLevels) {
        const bool has_all = std::ranges::all_of(needed, [&](const std::string& flag) {
            return std::ranges::find(flags, flag) != flags.end();
        });
        if (!has_all) break;
        best = name;
    }
    return best;
}

TEST_F(LibcpuidCorpus, AgreesOnTheLevel) {
    std::map<std::string, int> seen;
    int overstated = 0;
    for (const LibcpuidDump& dump : dumps_) {
        const FeatureSet ours = features().from_cpuid(dump.registers, std::nullopt);
        const std::string level(x86_64_level_name(ours));
        ++seen[level];
        EXPECT_EQ(level, psabi_level(dump.flags)) << dump.name;

        // libcpuid prints v2 for whatever has SSSE3, v3 for whatever has OSXSAVE and v4 for AVX-512F, and thereby too
        // much for processors such as Penryn (v3 without AVX). Ours must be what it prints, or that explains it.
        const auto has = [&](const char* flag) { return std::ranges::find(dump.flags, flag) != dump.flags.end(); };
        const std::string single = !has("lm")        ? ""
                                   : has("avx512f")  ? "x86-64-v4"
                                   : has("osxsave")  ? "x86-64-v3"
                                   : has("ssse3")    ? "x86-64-v2"
                                                     : "x86-64-v1";
        if (dump.level.starts_with("x86-64")) {
            EXPECT_EQ(dump.level, single) << dump.name << ": libcpuid's rule is not what we think it is";
        } else {
            EXPECT_EQ(single, "") << dump.name << " has long mode, libcpuid says " << dump.level;
        }
        const std::string theirs = dump.level == "x86-64-v1" ? "x86-64" : dump.level;
        if (theirs.starts_with("x86-64") && level != theirs) {
            ++overstated;
            EXPECT_LT(level, theirs) << dump.name;
        }
    }
    EXPECT_GT(seen["x86-64-v4"], 10);
    EXPECT_GT(seen["x86-64-v3"], 30);
    EXPECT_GT(seen["x86-64-v2"], 10);
    EXPECT_GT(overstated, 0) << "libcpuid's levels no longer differ: compare them directly";
}

// What a real processor shows and our closure takes away: only what the system or firmware left off.
TEST_F(LibcpuidCorpus, RealProcessorsAreClosedButForWhatTheSystemLeftOff) {
    const std::map<std::string, std::string> kReasons = {
        {"widekl", "the processor has it; CR4.KL, which aeskle shows, is off"},
        {"xsaveopt", "OSXSAVE is off"},
        {"avx", "OSXSAVE is off"},
        {"avx2", "OSXSAVE is off"},
        {"f16c", "OSXSAVE is off"},
        {"fma", "OSXSAVE is off"},
    };
    const auto osxsave = features().find("osxsave");
    ASSERT_TRUE(osxsave);
    for (const LibcpuidDump& dump : dumps_) {
        const FeatureSet shown = features().from_cpuid(dump.registers, std::nullopt);
        (shown - features().closed_subset(shown)).for_each([&](FeatureId id) {
            const auto reason = kReasons.find(std::string(features()[id].name));
            ASSERT_NE(reason, kReasons.end()) << dump.name << ": " << features()[id].name << " lacks what it needs";
            if (reason->second == "OSXSAVE is off") {
                EXPECT_FALSE(shown.contains(*osxsave)) << dump.name;
            }
        });
    }
}

}  // namespace
}  // namespace cpulevel::arch::test
