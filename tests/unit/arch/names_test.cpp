#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "arch/feature.h"

namespace cpulevel::arch {
namespace {

const FeatureTable& x86() { return table(Architecture::x86_64); }

std::string canonical(const FeatureTable& features, std::string_view text) {
    const auto id = features.find(text);
    return id ? std::string(features[*id].name) : "";
}

TEST(FeatureNames, KernelCompilerAndManualNamesAreOneFeature) {
    for (const char* text : {"sse3", "pni", "SSE3", "Pni"}) EXPECT_EQ(canonical(x86(), text), "sse3") << text;
    for (const char* text : {"sse4.2", "sse4_2", "SSE4-2"}) EXPECT_EQ(canonical(x86(), text), "sse4_2") << text;
    for (const char* text : {"lzcnt", "abm"}) EXPECT_EQ(canonical(x86(), text), "lzcnt") << text;
    EXPECT_EQ(canonical(x86(), "pclmul"), "pclmulqdq");
    EXPECT_EQ(canonical(x86(), "avx512vbmi2"), canonical(x86(), "avx512_vbmi2"));
    EXPECT_EQ(canonical(x86(), "avx512vnni"), "avx512_vnni");
    EXPECT_EQ(canonical(x86(), "amx-tile"), "amx_tile");
    EXPECT_EQ(canonical(x86(), "nonstop_tsc"), "invtsc");
    EXPECT_EQ(canonical(table(Architecture::aarch64), "lse"), "atomics");
    EXPECT_EQ(canonical(table(Architecture::ppc64le), "htm-nosc"), "htm_nosc");
    EXPECT_EQ(canonical(table(Architecture::s390x), "vxrs"), "vx");
}

TEST(FeatureNames, StrangersAreNotFound) {
    for (const char* text : {"", "avx3", "sse4.3", "avx2 ", " avx2", "avx2+", "-", "."}) {
        EXPECT_FALSE(x86().find(text)) << '"' << text << '"';
    }
    EXPECT_FALSE(x86().find(std::string(100000, 'a')));
    EXPECT_FALSE(table(Architecture::riscv64).find("avx2"));
}

TEST(FeatureNames, AMistypedNameGetsASuggestion) {
    const auto has = [](const std::vector<std::string_view>& names, std::string_view name) {
        return std::ranges::find(names, name) != names.end();
    };
    EXPECT_TRUE(has(x86().suggest("avx22"), "avx2"));
    EXPECT_TRUE(has(x86().suggest("x86-64-v33"), "x86-64-v3"));
    EXPECT_TRUE(has(x86().suggest("Sky-lake"), "skylake"));
    EXPECT_TRUE(x86().suggest("zzzzzzzzzzzz").empty());
}

TEST(ArchitectureNames, AreThoseOfUnameAndDebian) {
    for (const Architecture architecture : architectures()) {
        EXPECT_EQ(find_architecture(name(architecture)), architecture);
        EXPECT_EQ(table(architecture).architecture(), architecture);
        EXPECT_FALSE(table(architecture).features().empty());
    }
    EXPECT_EQ(find_architecture("amd64"), Architecture::x86_64);
    EXPECT_EQ(find_architecture("ARM64"), Architecture::aarch64);
    EXPECT_FALSE(find_architecture("i386"));
    EXPECT_FALSE(find_architecture(""));
}

TEST(ArmFeatures, SecurityAndHintSpaceAreMarked) {
    const FeatureTable& arm = table(Architecture::aarch64);
    for (const char* text : {"paca", "pacg", "bti", "mte", "mte3", "gcs", "ssbs", "poe"}) {
        EXPECT_TRUE(arm[arm.find(text).value()].security) << text;
    }
    for (const char* text : {"paca", "bti", "gcs", "dgh"}) {
        EXPECT_TRUE(arm[arm.find(text).value()].hint_space) << text;
    }
    for (const char* text : {"asimd", "sve", "sha3", "atomics"}) {
        EXPECT_FALSE(arm[arm.find(text).value()].security) << text;
        EXPECT_FALSE(arm[arm.find(text).value()].hint_space) << text;
    }
    EXPECT_EQ(arm[arm.find("cpuid").value()].rule, Rule::Never);
}

TEST(X86Features, WhatIsBoundToAMachineIsNever) {
    for (const char* text : {"kl", "aeskle", "widekl", "uintr", "enqcmd", "sgx", "sgx_lc", "lwp", "amx_tile", "amx_int8",
                             "amx_bf16", "pconfig", "pn"}) {
        const Feature& feature = x86()[x86().find(text).value()];
        EXPECT_EQ(feature.rule, Rule::Never) << text;
        EXPECT_FALSE(feature.moves) << text;
        EXPECT_FALSE(feature.why.empty()) << text;
    }
    for (const char* text : {"vmx", "svm", "smx", "monitor", "smep", "xsaves"}) {
        EXPECT_FALSE(x86()[x86().find(text).value()].user) << text;
    }
    for (const char* text : {"shstk", "ibt"}) EXPECT_TRUE(x86()[x86().find(text).value()].security) << text;
}

}  // namespace
}  // namespace cpulevel::arch
