#include "profile/import.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "profile/derive.h"
#include "profile/profile_json.h"
#include "support.h"

namespace cpulevel::profile {
namespace {

using test::fixture;
using test::id;
using test::imported;
using ::testing::Contains;
using ::testing::HasSubstr;

std::string error_of(const std::string& text, std::optional<std::string> from = std::nullopt) {
    const auto result = import_text(text, "input", std::move(from));
    return result ? "" : result.error().message();
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

TEST(Import, CpuidTool) {
    const auto one = imported("cpuid_r_one_cpu.txt");
    EXPECT_EQ(one.origin, "cpuid -r");
    EXPECT_EQ(one.identity.brand, "AMD EPYC");
    EXPECT_TRUE(one.features.contains(id("avx512f")));
    ASSERT_TRUE(one.xsave);
    EXPECT_FALSE(one.xsave->xcr0_enabled);
    EXPECT_FALSE(one.hwcap[0]);
    EXPECT_FALSE(one.minimum_signal_stack);
    EXPECT_FALSE(one.cpuid_faulting);
    const auto two = imported("cpuid_r_two_cpus.txt");
    ASSERT_EQ(two.cpus.size(), 1U);
    EXPECT_EQ(two.cpus.front().cpus, "0-1");
}

TEST(Import, LibcpuidOwnLines) {
    const auto profile = imported("libcpuid_k10.txt");
    EXPECT_EQ(profile.origin, "libcpuid");
    EXPECT_EQ(profile.identity.family, 16U);
    EXPECT_TRUE(profile.features.contains(id("sse4a")));
    EXPECT_TRUE(profile.features.contains(id("3dnow")));
    EXPECT_FALSE(profile.features.contains(id("avx")));
    ASSERT_TRUE(profile.xsave) << "a CPU without XSAVE has no area: that is known";
    EXPECT_EQ(profile.xsave->maximum_size, 0U);
}

TEST(Import, HybridDumpIsTheMeetOfItsCpus) {
    const auto profile = imported("libcpuid_hybrid.txt");
    EXPECT_EQ(profile.origin, "libcpuid");
    EXPECT_GE(profile.cpus.size(), 2U);
    EXPECT_TRUE(profile.features.contains(id("avx2")));
    EXPECT_FALSE(profile.features.contains(id("avx512f")));
    EXPECT_EQ(profile.xsave->standard_size, 2696U);
}

TEST(Import, SameValuesInEveryFormatAreTheSameMachine) {
    const auto profile = imported("cpuid_r_one_cpu.txt");
    std::string text = "------[ CPUID Registers / Logical CPU #0 ]------\r\n\r\n";
    for (const auto& [key, r] : profile.cpus.front().cpuid) {
        text += fmt::format("CPUID {:08X}: {:08X}-{:08X}-{:08X}-{:08X} [SL {:02X}] [x]\r\n", key.leaf, r.eax, r.ebx,
                            r.ecx, r.edx, key.subleaf);
    }
    text += "\r\nMSR 0000001B: 0000-0000-FEE0-0800\r\nL1 Data Cache: 32 KB\r\n";
    const auto other = import_text(text, "x");
    ASSERT_TRUE(other) << other.error().message();
    EXPECT_EQ(other->front().origin, "InstLatx64");
    EXPECT_EQ(other->front().cpus.front().cpuid, profile.cpus.front().cpuid);
    EXPECT_EQ(other->front().features, profile.features);
    EXPECT_EQ(other->front().known, profile.known);
    EXPECT_EQ(other->front().xsave, profile.xsave);
}

TEST(Import, UnnumberedStateComponentsAreNotGuessed) {
    const std::string head =
        "CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69\nCPUID 00000001: 000306C3-00100800-7FFAFBBF-BFEBFBFF\n";
    const auto layout_of = [&](const std::string& lines) {
        const auto profiles = import_text(head + lines, "x");
        EXPECT_TRUE(profiles) << profiles.error().message();
        return profiles->front();
    };
    // All there: subleaf 1 and one line for each component.
    const auto full = layout_of("CPUID 0000000D: 00000207-00000340-00000A88-00000000\n"
                                "CPUID 0000000D: 0000000F-00000350-00000000-00000000\n"
                                "CPUID 0000000D: 00000100-00000240-00000000-00000000\n"
                                "CPUID 0000000D: 00000008-00000A80-00000000-00000000\n");
    EXPECT_EQ(full.xsave->components.at(9).offset, 0xa80U);
    // Subleaf 1 left out because the tool did not ask.
    const auto without = layout_of("CPUID 0000000D: 00000007-00000340-00000340-00000000\n"
                                   "CPUID 0000000D: 00000100-00000240-00000000-00000000\n");
    EXPECT_EQ(without.xsave->components.at(2).size, 256U);
    EXPECT_FALSE(without.known.contains(id("xsaveopt"))) << "nobody asked for subleaf 1";
    // One component of two.
    const auto part = layout_of("CPUID 0000000D: 00000207-00000340-00000A88-00000000\n"
                                "CPUID 0000000D: 0000000F-00000350-00000000-00000000\n"
                                "CPUID 0000000D: 00000100-00000240-00000000-00000000\n");
    EXPECT_FALSE(part.xsave->components.contains(9));
    EXPECT_EQ(part.xsave->standard_size, 0xa88U);
    EXPECT_THAT(part.notes, Contains(HasSubstr("XSAVE components 9 are not known")));
}

TEST(Import, CpuinfoOfX86) {
    const auto profile = imported("cpuinfo_x86.txt");
    EXPECT_EQ(profile.origin, "/proc/cpuinfo");
    EXPECT_EQ(profile.identity.model, 63U);
    EXPECT_TRUE(profile.features.contains(id("sse3"))) << "the kernel calls it pni";
    EXPECT_TRUE(profile.features.contains(id("osxsave")));
    EXPECT_FALSE(profile.features.contains(id("avx2"))) << "CPU 1 lacks it";
    EXPECT_TRUE(profile.known.contains(id("avx512f")));
    EXPECT_FALSE(profile.known.contains(id("avx_vnni"))) << "old kernels have no flag for it";
    EXPECT_FALSE(profile.xsave);
    EXPECT_TRUE(profile.cpus.empty());
    EXPECT_THAT(profile.notes, Contains("CPUs 1 lack what other CPUs of this node have: avx2"));
    EXPECT_THAT(profile.notes, Contains("flags that are not known here, passed over: madeup_flag"));
}

TEST(Import, CpuinfoOfArm64) {
    const auto profile = imported("cpuinfo_arm64.txt");
    EXPECT_EQ(profile.architecture, arch::Architecture::aarch64);
    EXPECT_EQ(profile.identity.brand, "Neoverse-N1");
    // fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop ssbs: bits of
    // <asm/hwcap.h> without asimddp (20), which CPU 1 lacks.
    EXPECT_EQ(profile.hwcap[0], 0x10019fffU);
    EXPECT_EQ(profile.hwcap[1], 0U);
    EXPECT_THAT(profile.notes, Contains(HasSubstr("unheardof")));
    EXPECT_TRUE(from_json(to_json(profile), "x"));
}

TEST(Import, OurOwnJson) {
    const auto profile = imported("cpuid_r_two_cpus.txt");
    const auto again = import_text(to_json(profile), "x");
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(to_json(again->front()), to_json(profile));
    EXPECT_EQ(again->front().origin, "cpuid -r");
}

TEST(Import, ByteOrderMarkAndLineEndingsDoNotMatter) {
    const auto text = fixture("cpuid_r_one_cpu.txt");
    std::string other = "\xef\xbb\xbf";
    for (const char c : text) other += c == '\n' ? std::string("\r\n") : std::string(1, c);
    const auto a = import_text(text, "x"), b = import_text(other, "x");
    ASSERT_TRUE(a && b);
    EXPECT_EQ(to_json(a->front()), to_json(b->front()));
}

TEST(Import, FormatCanBeNamed) {
    EXPECT_THAT(error_of("", "cpuidd"), HasSubstr("unknown format: \"cpuidd\": known are criu, lscpu, qemu, nfd, json"));
    EXPECT_TRUE(import_text(fixture("cpuid_r_one_cpu.txt"), "x", "cpuid"));
    EXPECT_THAT(error_of(fixture("cpuid_r_one_cpu.txt"), "cpuinfo"), HasSubstr("without \"flags\""));
}

TEST(Import, BadInputIsRefusedWithItsPlace) {
    const auto tool = fixture("cpuid_r_one_cpu.txt");
    const auto own = fixture("libcpuid_k10.txt");
    const auto dump = fixture("libcpuid_hybrid.txt");
    struct Case {
        std::string text;
        std::string message;
    };
    const std::vector<Case> cases{
        {"", "the file is empty"},
        {"\n\n", "the file is empty"},
        {"hello world", "not a format that cpulevel knows"},
        {std::string(1000, '\0'), "not a format that cpulevel knows"},
        {replaced(tool, "ebx=0x68747541", "ebx=0x6874754"), "line 2: expected eight hexadecimal digits after ebx=0x"},
        {replaced(tool, "0x00000001 0x00:", "0x100000001 0x00:"), "line 3: not a leaf and a subleaf"},
        {tool.substr(0, 5000), "line 64: expected ebx=0xXXXXXXXX"},
        {tool + "   0x00000001 0x00: eax=0x00000000 ebx=0x00000000 ecx=0x00000000 edx=0x00000000\n", "is there twice"},
        {replaced(tool, "0x0000000d 0x00: eax=0x000000e7 ebx=0x00000980", "0x0000000d 0x00: eax=0x000000e7 ebx=0xf0000980"),
         "absurd XSAVE layout"},
        {replaced(tool, "CPU:", "CPU 99999:"), "line 1: CPU number 99999 is absurd"},
        {replaced(own, "ext_cpuid[1]=", "ext_cpuid[999]="), "not an index from 0 to 63"},
        {replaced(own, "ext_cpuid[1]=00100f63 ", "ext_cpuid[1]="), "cut or damaged line"},
        {replaced(dump, "CPUID 00000001: ", "CPUID 00000001: Z"), "cut or damaged line"},
        {"CPUID 00000007: 00000000-00000000-00000000-00000000\n", "leaves 0 and 1 are missing"},
        {"_______ Logical CPU #0 ______\narm_midr=00000000411fd070\n", "32-bit Arm processor"},
        {"processor : 0\nflags : fpu\n\nprocessor : 1\nFeatures : fp\n", "line 5: CPUs of several architectures in one file"},
        {"processor : 70000\nflags : fpu\n", "line 1: absurd CPU number"},
        {"processor : 0\ncpu : POWER99\n", "not known here"},
    };
    for (const Case& c : cases) {
        EXPECT_THAT(error_of(c.text), HasSubstr(c.message)) << c.text.substr(0, 80);
    }
}

TEST(Import, HostileSizesStayBounded) {
    std::string many = "CPUID 00000000: 0000000D-756E6547-6C65746E-49656E69\n";
    for (unsigned i = 0; i < 20000; ++i) many += fmt::format("CPUID 00000004: {:08X}-00000000-00000000-00000000\n", i);
    EXPECT_THAT(error_of(many), HasSubstr("absurdly many CPUID leaves"));
    std::string cpus;
    for (unsigned i = 0; i < 70000; ++i) cpus += "CPUID 00000000: 00000000-00000000-00000000-00000000\n";
    EXPECT_THAT(error_of(cpus), HasSubstr("absurdly many CPUs"));
}

TEST(LoadProfile, NamesTheFileThatIsMissing) {
    const auto result = load_profile("/does/not/exist.json");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message(), HasSubstr("/does/not/exist.json"));
}

}  // namespace
}  // namespace cpulevel::profile
