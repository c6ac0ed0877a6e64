// The HWCAP bits of other architectures against the kernel's own headers, where Debian's linux-libc-dev-*-cross
// packages are installed. Headers may be older than our data: what they have must agree.
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "arch/feature.h"
#include "util/text.h"

namespace cpulevel::arch {
namespace {

struct Header {
    Architecture architecture;
    const char* path;
    const char* package;
};

// "#define HWCAP2_SVE2 (1 << 1)", "(1UL << 32)", "(1 << ('I' - 'A'))" or "PPC_FEATURE_64 0x40000000".
struct Definition {
    std::string prefix;
    std::string name;
    std::uint8_t bit;
};

std::vector<Definition> definitions(std::istream& header) {
    static const std::regex kShift(R"(#define\s+((?:COMPAT_)?HWCAP[234]?_)(\w+)\s+\(1(?:U|UL|ULL)? << (\d+)\).*)");
    static const std::regex kLetter(R"(#define\s+(COMPAT_HWCAP_ISA_)(\w)\s+\(1 << \('(\w)' - 'A'\)\).*)");
    static const std::regex kMask(R"(#define\s+(PPC_FEATURE2?_)(\w+)\s+0x([0-9a-fA-F]+).*)");
    std::vector<Definition> found;
    for (std::string line; std::getline(header, line);) {
        std::smatch part;
        if (std::regex_match(line, part, kLetter)) {
            found.push_back({part[1], part[2], static_cast<std::uint8_t>(part[3].str()[0] - 'A')});
        } else if (std::regex_match(line, part, kShift)) {
            found.push_back({part[1], part[2], static_cast<std::uint8_t>(std::stoul(part[3]))});
        } else if (std::regex_match(line, part, kMask)) {
            const std::uint64_t mask = parse_hex(part[3].str()).value_or(0);
            found.push_back({part[1], part[2], static_cast<std::uint8_t>(std::countr_zero(mask))});
        }
    }
    return found;
}

std::uint8_t word_of(const std::string& prefix) {
    if (prefix == "HWCAP2_" || prefix == "PPC_FEATURE2_") return 1;
    if (prefix == "HWCAP3_") return 2;
    return 0;
}

class KernelHeaders : public testing::TestWithParam<Header> {};

TEST_P(KernelHeaders, HaveOurBits) {
    std::ifstream file(GetParam().path);
    if (!file) GTEST_SKIP() << "SKIPPED: needs " << GetParam().package;
    const FeatureTable& features = table(GetParam().architecture);
    // Where the header's name is neither our name nor an alias.
    static const std::map<std::string, std::string> kNames = {
        {"32", "ppc32"}, {"64", "ppc64"}, {"601_INSTR", "ppc601"}, {"PPC_LE", "ppcle"}};
    std::size_t seen = 0;
    for (const Definition& definition : definitions(file)) {
        if (GetParam().architecture == Architecture::aarch64 && definition.prefix.starts_with("COMPAT")) continue;
        ++seen;
        std::string name = definition.name;
        if (const auto renamed = kNames.find(name); renamed != kNames.end()) name = renamed->second;
        if (name.starts_with("HAS_")) name = name.substr(4);
        if (name.starts_with("LOONGARCH_")) name = name.substr(10);
        const auto id = features.find(name);
        if (!id) {
            ADD_FAILURE() << definition.prefix << definition.name << " is not in our data";
            continue;
        }
        ASSERT_EQ(features[*id].hwcap.size(), 1U) << name;
        EXPECT_EQ(features[*id].hwcap[0].word, word_of(definition.prefix)) << name;
        EXPECT_EQ(features[*id].hwcap[0].bit, definition.bit) << name;
    }
    EXPECT_GE(seen, 5U) << "the header is not in the form that this test reads";
}

INSTANTIATE_TEST_SUITE_P(
    Debian, KernelHeaders,
    testing::Values(
        Header{Architecture::aarch64, "/usr/aarch64-linux-gnu/include/asm/hwcap.h", "linux-libc-dev-arm64-cross"},
        Header{Architecture::riscv64, "/usr/riscv64-linux-gnu/include/asm/hwcap.h", "linux-libc-dev-riscv64-cross"},
        Header{Architecture::ppc64le, "/usr/powerpc64le-linux-gnu/include/asm/cputable.h",
               "linux-libc-dev-ppc64el-cross"}),
    [](const auto& instance) { return std::string(name(instance.param.architecture)); });

}  // namespace
}  // namespace cpulevel::arch
