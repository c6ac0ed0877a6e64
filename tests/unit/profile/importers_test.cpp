// The formats of other tools, each on a real or documented example (tests/fixtures/profile): what they tell, and that what
// they do not tell stays unknown.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "arch/cpu_model.h"
#include "profile/import.h"
#include "profile/profile_json.h"
#include "support.h"

namespace cpulevel::profile {
namespace {

using arch::Architecture;
using test::fixture;
using test::id;
using test::imported;
using ::testing::Contains;
using ::testing::HasSubstr;

// "yes", "no" or "unknown": the three values that a feature has in a description.
std::string says(const NodeProfile& node, std::string_view feature) {
    const auto which = id(feature, node.architecture);
    if (node.features.contains(which)) return "yes";
    return node.known.contains(which) ? "no" : "unknown";
}

std::string error_of(const std::string& text, std::optional<std::string> from = std::nullopt) {
    const auto result = import_text(text, "input", std::move(from));
    return result ? "" : result.error().message();
}

std::vector<NodeProfile> all_of(const std::string& name) {
    auto profiles = import_text(fixture(name), name);
    EXPECT_TRUE(profiles) << profiles.error().message();
    return profiles ? *std::move(profiles) : std::vector<NodeProfile>{};
}

TEST(Importers, EachIsRecognisedByItsContent) {
    for (const auto& [name, origin] : std::initializer_list<std::pair<std::string, std::string>>{
             {"lscpu_x86.json", "lscpu"},
             {"virsh_capabilities.xml", "virsh capabilities"},
             {"virsh_domcapabilities.xml", "virsh domcapabilities"},
             {"cpudata.xml", "libvirt cpudata"},
             {"qemu_haswell_full.json", "QEMU CPU model"},
             {"qemu_session.txt", "QEMU CPU model"},
             {"criu_cpuinfo.img", "CRIU cpuinfo.img"},
             {"nfd_nodes.json", "NFD labels"},
             {"runsc.txt", "runsc cpu-features"},
             {"archspec.txt", "archspec"},
             {"cpuinfo_s390x.txt", "/proc/cpuinfo"},
             {"cpuinfo_power9.txt", "/proc/cpuinfo"},
             {"cpuinfo_riscv.txt", "/proc/cpuinfo"},
             {"libcpuid_arm.txt", "libcpuid"},
             {"cpuid_numbers.txt", "CPUID numbers"},
             {"sysctl_x86.txt", "macOS sysctl"},
             {"sysctl_arm.txt", "macOS sysctl"}}) {
        SCOPED_TRACE(name);
        const auto profiles = all_of(name);
        ASSERT_FALSE(profiles.empty());
        EXPECT_EQ(profiles.front().origin, origin);
        for (const NodeProfile& profile : profiles) {
            EXPECT_TRUE(profile.features.is_subset_of(profile.known));
            EXPECT_FALSE(profile.notes.empty()) << "what the source cannot tell is not told";
            const auto back = from_json(to_json(profile), name);
            ASSERT_TRUE(back) << back.error().message();
            EXPECT_EQ(to_json(*back), to_json(profile));
        }
    }
}

TEST(Importers, EveryPrefixOfEachIsReadOrRefused) {
    for (const std::string name : {"lscpu_x86.json", "virsh_capabilities.xml", "criu_cpuinfo.img", "nfd_nodes.json",
                                   "qemu_session.txt", "runsc.txt", "cpuinfo_s390x.txt", "cpuinfo_riscv.txt", "libcpuid_arm.txt",
                                   "sysctl_arm.txt"}) {
        const std::string whole = fixture(name);
        const auto told = all_of(name);
        for (std::size_t length = 1; length < whole.size(); length += whole.size() / 150 + 1) {
            const auto result = import_text(whole.substr(0, length), name);
            EXPECT_TRUE(result || !result.error().why.empty()) << name << " cut at " << length;
            if (!result) continue;
            // What was cut off is not told, which is something else than absent.
            for (std::size_t i = 0; i < result->size(); ++i) {
                const auto lost = (told[i].features & (*result)[i].known) - (*result)[i].features;
                EXPECT_TRUE(lost.empty()) << name << " cut at " << length;
            }
        }
    }
}

TEST(Importers, CpuinfoOfS390x) {
    const auto node = imported("cpuinfo_s390x.txt");
    EXPECT_EQ(node.architecture, Architecture::s390x);
    EXPECT_EQ(node.identity.brand, "machine 8561");
    EXPECT_EQ(says(node, "vxe2"), "yes");
    EXPECT_EQ(says(node, "nnpa"), "no");
    EXPECT_EQ(node.hwcap[0], std::uint64_t{0x4fffff} & ~(std::uint64_t{1} << 19) & ~(std::uint64_t{1} << 20) &
                                 ~(std::uint64_t{1} << 21));
}

TEST(Importers, CpuinfoOfPowerHasANameAndNoFeatures) {
    const auto node = imported("cpuinfo_power9.txt");
    EXPECT_EQ(node.architecture, Architecture::ppc64le);
    EXPECT_EQ(says(node, "arch_3_00"), "yes");
    EXPECT_EQ(says(node, "altivec"), "yes");
    EXPECT_EQ(says(node, "arch_3_1"), "unknown");
    EXPECT_EQ(says(node, "htm"), "unknown");
    EXPECT_FALSE(node.hwcap[0]);
    EXPECT_THAT(error_of("processor : 0\ncpu : POWER99, altivec supported\n"), HasSubstr("not known here: POWER99"));
}

TEST(Importers, CpuinfoOfRiscvIsTheMeetOfItsHarts) {
    const auto node = imported("cpuinfo_riscv.txt");
    EXPECT_EQ(node.architecture, Architecture::riscv64);
    EXPECT_EQ(node.hwcap[0], std::uint64_t{1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 12});
    EXPECT_EQ(says(node, "v"), "no");  // the second hart lacks it
    EXPECT_THAT(node.notes, Contains(HasSubstr("zba")));
    EXPECT_THAT(error_of("processor : 0\nisa : rv32imac\n"), HasSubstr("not of 64-bit RISC-V"));
}

TEST(Importers, CpuinfoOfThirtyTwoBitArmIsRefused) {
    EXPECT_THAT(error_of("processor : 0\nFeatures : half thumb fastmult vfp edsp neon\nCPU implementer : 0x41\n"),
                HasSubstr("32-bit Arm"));
}

TEST(Importers, LscpuSaysWhatCpuinfoSays) {
    const auto node = imported("lscpu_x86.json");
    EXPECT_EQ(node.identity.vendor, "AuthenticAMD");
    EXPECT_EQ(node.identity.family, 26U);
    EXPECT_EQ(says(node, "avx512f"), "yes");
    EXPECT_EQ(says(node, "osxsave"), "yes");
    EXPECT_EQ(says(node, "xop"), "no");
    EXPECT_EQ(says(node, "serialize"), "unknown");
    const auto nested = import_text(R"({"lscpu": [{"field": "Architecture:", "data": "aarch64", "children": [
        {"field": "Vendor ID:", "data": "ARM", "children": [
          {"field": "Model name:", "data": "Cortex-A72", "children": [{"field": "Flags:", "data": "fp asimd aes crc32"}]},
          {"field": "Model name:", "data": "Cortex-A53", "children": [{"field": "Flags:", "data": "fp asimd crc32"}]}]}]}]})",
                                    "nested");
    ASSERT_TRUE(nested) << nested.error().message();
    EXPECT_EQ(says(nested->front(), "crc32"), "yes");
    EXPECT_EQ(says(nested->front(), "aes"), "no");  // one of the two kinds of CPU lacks it
    EXPECT_THAT(error_of(R"({"lscpu": [{"field": "Architektur:", "data": "x86_64"}]})"), HasSubstr("Architecture"));
}

TEST(Importers, LibvirtModelsAndFeatures) {
    const auto host = imported("virsh_capabilities.xml");
    EXPECT_EQ(host.identity.vendor, "AuthenticAMD");
    EXPECT_EQ(host.identity.family, 26U);
    EXPECT_EQ(says(host, "avx512f"), "yes");  // listed
    EXPECT_EQ(says(host, "sse2"), "yes");     // of the model kvm64
    EXPECT_EQ(says(host, "xop"), "unknown");
    const auto guest = imported("virsh_domcapabilities.xml");
    EXPECT_EQ(says(guest, "avx2"), "yes");   // of the model EPYC
    EXPECT_EQ(says(guest, "rdseed"), "no");  // policy disable, though the model has it
    EXPECT_EQ(says(guest, "avx512f"), "unknown");
    const auto raw = imported("cpudata.xml");
    EXPECT_EQ(raw.features, imported("cpuid_r_one_cpu.txt").features & raw.known);
    EXPECT_EQ(raw.cpus.size(), 1U);
    const auto optional = import_text("<cpu><model>Penryn</model><feature policy='optional' name='avx'/></cpu>", "x");
    ASSERT_TRUE(optional);
    EXPECT_EQ(says(optional->front(), "avx"), "unknown");
}

TEST(Importers, HostileXmlIsRefused) {
    EXPECT_THAT(error_of(fixture("billion_laughs.xml")), HasSubstr("document type"));
    EXPECT_THAT(error_of("<!DOCTYPE cpu SYSTEM \"file:///etc/passwd\"><cpu><model>Penryn</model></cpu>"),
                HasSubstr("document type"));
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "<cpu>";
    EXPECT_THAT(error_of(deep), HasSubstr("deep"));
    EXPECT_THAT(error_of("<cpu><model>Penryn</mode></cpu>"), HasSubstr("mismatched"));
    EXPECT_THAT(error_of("<cpu><model>&lol;</model></cpu>"), HasSubstr("undefined entity"));
    EXPECT_THAT(error_of("<cpudata arch='x86'><cpuid eax_in='zzz'/></cpudata>"), HasSubstr("eax_in"));
    EXPECT_THAT(error_of("<cpudata arch='arm'/>"), HasSubstr("architecture"));
    EXPECT_THAT(error_of("<cpu><arch>x86_64</arch></cpu>"), HasSubstr("neither a known CPU model"));
}

TEST(Importers, QemuSpeaksOfWhatItKnowsAndOfNothingElse) {
    const auto node = imported("qemu_haswell_full.json");
    EXPECT_EQ(says(node, "avx2"), "yes");
    EXPECT_EQ(says(node, "osxsave"), "yes");
    EXPECT_EQ(says(node, "avx512f"), "no");
    EXPECT_EQ(says(node, "apx_f"), "unknown");  // younger than this QEMU
    const auto models = all_of("qemu_session.txt");
    ASSERT_EQ(models.size(), 2U);
    EXPECT_EQ(models[0].name, "a64fx");
    EXPECT_EQ(models[1].name, "max");
    EXPECT_EQ(models[0].architecture, Architecture::aarch64);
    EXPECT_EQ(says(models[0], "sve"), "yes");
    EXPECT_EQ(says(models[0], "atomics"), "unknown");
    EXPECT_THAT(models[0].notes, Contains(HasSubstr("refused by QEMU")));
}

TEST(Importers, CriuWordsAreRegistersOfCpuid) {
    const auto node = imported("criu_cpuinfo.img");
    EXPECT_EQ(node.identity.vendor, "AuthenticAMD");
    EXPECT_EQ(node.identity.family, 26U);
    EXPECT_THAT(node.identity.brand, HasSubstr("Turin"));
    for (const char* feature : {"avx512f", "xsavec", "sse4_2", "lm", "vaes"}) EXPECT_EQ(says(node, feature), "yes") << feature;
    EXPECT_EQ(says(node, "xop"), "no");
    EXPECT_EQ(says(node, "avx_vnni"), "unknown");  // leaf 7.1: CRIU has no word for it
    std::string image = fixture("criu_cpuinfo.img");
    EXPECT_THAT(error_of(image.substr(0, 60)), HasSubstr("cut"));
    image[14] = '\x7f';  // the length of the inner message
    EXPECT_THAT(error_of(image), HasSubstr("damaged protobuf"));
    EXPECT_THAT(error_of(std::string("\x19\x43\x56\x54\x01\x02\x03\x04", 8)), HasSubstr("not cpuinfo.img"));
    EXPECT_THAT(error_of(std::string("\x19\x43\x56\x54\x13\x40\x40\x61\x00\x00\x00\x00", 12)), HasSubstr("describes no CPU"));
}

TEST(Importers, CriuOfPowerAndS390) {
    using namespace std::string_literals;
    // ppc64_entry (2) { endian (1) = 1, hwcap (2) = 0xdc0065c2, hwcap = 0xeff00000 }; s390_entry (3) { hwcap (2) = 0x3ff }
    const auto power = import_text(
        "\x19\x43\x56\x54\x13\x40\x40\x61\x10\0\0\0\x12\x0e\x08\x01\x10\xc2\xcb\x81\xe0\x0d\x10\x80\x80\xc0\xff\x0e"s, "p");
    ASSERT_TRUE(power) << power.error().message();
    EXPECT_EQ(power->front().architecture, Architecture::ppc64le);
    EXPECT_EQ(power->front().hwcap[0], 0xdc0065c2U);
    EXPECT_EQ(says(power->front(), "vsx"), "yes");
    EXPECT_EQ(says(power->front(), "mma"), "no");
    const auto s390 = import_text("\x19\x43\x56\x54\x13\x40\x40\x61\x05\0\0\0\x1a\x03\x10\xff\x07"s, "z");
    ASSERT_TRUE(s390) << s390.error().message();
    EXPECT_EQ(s390->front().hwcap[0], 0x3ffU);
    EXPECT_EQ(says(s390->front(), "vx"), "no");
}

TEST(Importers, NfdLabelsNeverSayNo) {
    const auto nodes = all_of("nfd_nodes.json");
    ASSERT_EQ(nodes.size(), 3U);
    EXPECT_EQ(nodes[0].name, "worker-1");
    EXPECT_EQ(nodes[0].identity.vendor, "GenuineIntel");
    EXPECT_EQ(nodes[0].kernel, "6.1.0-28-amd64");
    EXPECT_EQ(says(nodes[0], "fma"), "yes");
    EXPECT_EQ(says(nodes[0], "sse4_2"), "unknown");  // NFD hides it by default
    EXPECT_EQ(says(nodes[0], "avx512f"), "unknown"); // and an administrator may hide this
    EXPECT_EQ(nodes[0].features, nodes[0].known);
    // NFD has no label for these, or hides them by default; every 64-bit CPU of x86 has them.
    for (const char* name : {"sse2", "cmov", "lm", "fxsr", "syscall"}) EXPECT_EQ(says(nodes[0], name), "yes") << name;
    // A node without NFD: its architecture is all that is known of it.
    EXPECT_EQ(nodes[1].known, nodes[1].features);
    const auto& base = *arch::table(nodes[1].architecture)
                            .find_level(nodes[1].architecture == Architecture::x86_64 ? "x86-64" : "armv8.0-a");
    EXPECT_EQ(nodes[1].known.size(), base.features.size());
    EXPECT_THAT(nodes[1].notes, Contains(HasSubstr("taken from its architecture")));
    EXPECT_THAT(nodes[1].notes, Contains(HasSubstr("says nothing")));
    EXPECT_EQ(nodes[2].origin, "NFD NodeFeature");
    EXPECT_EQ(nodes[2].architecture, Architecture::x86_64);
    EXPECT_EQ(says(nodes[2], "sse4_1"), "yes");      // klauspost/cpuid calls it SSE4
    EXPECT_EQ(says(nodes[2], "fpu"), "yes");
    EXPECT_EQ(says(nodes[2], "avx512f"), "no");
    EXPECT_EQ(says(nodes[2], "xsavec"), "unknown");
    EXPECT_THAT(error_of(R"({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}})"), HasSubstr("no Node"));
    EXPECT_THAT(error_of(R"({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "x"}})"), HasSubstr("architecture"));
    EXPECT_THAT(error_of(R"({"apiVersion": "v1", "kind": "NodeList", "items": [)"), HasSubstr("not valid JSON"));
}

TEST(Importers, RunscNamesWholeWords) {
    const auto node = imported("runsc.txt");
    EXPECT_EQ(says(node, "osxsave"), "yes");
    EXPECT_EQ(says(node, "clflushopt"), "yes");  // gVisor spells it clfushopt
    EXPECT_EQ(says(node, "avx512f"), "no");
    EXPECT_EQ(says(node, "movdiri"), "unknown");
    EXPECT_NE(error_of("a,b,c,d"), "");
    EXPECT_THAT(error_of("a,b,c,d\n", "runsc"), HasSubstr("no feature"));
}

TEST(Importers, ArchspecNamesPromiseAtLeast) {
    const auto nodes = all_of("archspec.txt");
    ASSERT_EQ(nodes.size(), 3U);
    EXPECT_EQ(says(nodes[0], "avx512vl"), "yes");
    EXPECT_EQ(says(nodes[0], "gfni"), "unknown");
    EXPECT_EQ(nodes[1].name, "linux-debian12-zen3");
    EXPECT_EQ(says(nodes[1], "vaes"), "yes");
    EXPECT_THAT(error_of("haswell\nhaswel\n"), HasSubstr("line 2"));
    EXPECT_THAT(error_of("haswel", "archspec"), HasSubstr("unknown microarchitecture"));
}

TEST(Importers, IdRegistersOfArm) {
    const auto node = imported("libcpuid_arm.txt");
    EXPECT_EQ(node.identity.brand, "Neoverse-N2");
    EXPECT_EQ(says(node, "sve2"), "yes");
    EXPECT_EQ(says(node, "svesm4"), "yes");
    EXPECT_EQ(says(node, "sme"), "no");
    EXPECT_EQ(says(node, "rng"), "no");       // the second CPU lacks it
    EXPECT_EQ(says(node, "uscat"), "unknown"); // ID_AA64MMFR2_EL1 is not there
    EXPECT_FALSE(node.hwcap[0]);
    EXPECT_THAT(error_of("arm_midr=00000000410fd490\narm_id_aa64isar0=0000000000000000\n"), HasSubstr("32-bit"));
}

TEST(Importers, NumbersAndSysctl) {
    const auto numbers = imported("cpuid_numbers.txt");
    EXPECT_EQ(numbers.identity.vendor, "GenuineIntel");
    EXPECT_EQ(says(numbers, "avx"), "yes");
    EXPECT_EQ(says(numbers, "avx2"), "unknown");  // leaf 7 is not in it, though the CPU has it
    EXPECT_THAT(error_of("0, 0, 13, 1970169159, 1818588270, 1231384169\n1, 2\n"), HasSubstr("line 2"));
    const auto mac = imported("sysctl_x86.txt");
    EXPECT_EQ(says(mac, "avx2"), "yes");
    EXPECT_EQ(says(mac, "fsgsbase"), "yes");
    EXPECT_EQ(says(mac, "avx512f"), "unknown");
    const auto apple = imported("sysctl_arm.txt");
    EXPECT_EQ(says(apple, "atomics"), "yes");
    EXPECT_EQ(says(apple, "sme"), "no");
    EXPECT_EQ(says(apple, "sve"), "unknown");
}

TEST(Importers, EveryFormatHasANameOfItsOwnAndFromOverridesTheContent) {
    std::set<std::string_view> names;
    for (const ImportFormat& format : import_formats()) {
        EXPECT_TRUE(names.insert(format.name).second) << format.name;
        EXPECT_FALSE(format.title.empty());
    }
    EXPECT_THAT(error_of(fixture("lscpu_x86.json"), "nfd"), HasSubstr("architecture is not told"));
    const auto by_name = import_text(fixture("lscpu_x86.json"), "x", "lscpu");
    EXPECT_TRUE(by_name);
}

}  // namespace
}  // namespace cpulevel::profile
