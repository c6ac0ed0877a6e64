#include "profile/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "profile/derive.h"
#include "profile/profile_json.h"
#include "support.h"

namespace cpulevel::profile {
namespace {

using test::FakeMachine;
using test::id;
using test::real_dump;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::uint32_t kAvx512fBit = 1U << 16U;  // leaf 7 EBX

TEST(Probe, TellsWhatTheMachineSays) {
    const FakeMachine machine({real_dump(), real_dump()});
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_EQ(profile->name, "fake");
    EXPECT_EQ(profile->kernel, "6.1.0-test");
    EXPECT_EQ(profile->origin, "scan");
    EXPECT_EQ(profile->identity.vendor, "AuthenticAMD");
    EXPECT_EQ(profile->identity.family, 26U);
    EXPECT_EQ(profile->hypervisor, "KVMKVMKVM");
    EXPECT_EQ(profile->hwcap[0], 0x178bfbffU);
    EXPECT_EQ(profile->hwcap[1], 2U);
    EXPECT_FALSE(profile->hwcap[2]);
    EXPECT_EQ(profile->minimum_signal_stack, 3632U);
    EXPECT_EQ(profile->page_size, 4096U);
    EXPECT_EQ(profile->cpuid_faulting, true);
    ASSERT_TRUE(profile->xsave);
    EXPECT_TRUE(profile->xsave->xcr0_enabled);
    EXPECT_EQ(profile->xsave->xcr0, 0xe7U);
    EXPECT_EQ(profile->xsave->standard_size, 2432U);
    EXPECT_EQ(profile->xsave->components.at(2).offset, 576U);
    EXPECT_TRUE(profile->xsave->components.at(11).supervisor);
    ASSERT_EQ(profile->cpus.size(), 1U);
    EXPECT_EQ(profile->cpus.front().cpus, "0-1");
    EXPECT_TRUE(profile->features.contains(id("avx512f")));
    EXPECT_TRUE(profile->features.contains(id("fsgsbase")));
    EXPECT_EQ(profile->known, arch::table(arch::Architecture::x86_64).all());
    EXPECT_TRUE(profile->notes.empty()) << profile->notes.front();
}

TEST(Probe, HybridMachineHasOnlyWhatEveryCpuHas) {
    auto small = real_dump();
    small[{7, 0}].ebx &= ~kAvx512fBit;
    const FakeMachine machine({real_dump(), real_dump(), small, small});
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile) << profile.error().message();
    ASSERT_EQ(profile->cpus.size(), 2U);
    EXPECT_EQ(profile->cpus[0].cpus, "0-1");
    EXPECT_EQ(profile->cpus[1].cpus, "2-3");
    EXPECT_FALSE(profile->features.contains(id("avx512f")));
    EXPECT_TRUE(profile->features.contains(id("avx2")));
    EXPECT_THAT(profile->notes, Contains("CPUs 2-3 lack what other CPUs of this node have: avx512f"));
}

TEST(Probe, ApicIdsDoNotMakeCpusDifferent) {
    auto second = real_dump();
    second[{1, 0}].ebx ^= 0x01000000U;  // initial APIC id
    second[{0xb, 0}].edx ^= 1U;         // x2APIC id
    const FakeMachine machine({real_dump(), second});
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile);
    EXPECT_EQ(profile->cpus.size(), 1U);
}

TEST(Probe, CpuThatCannotBeAskedIsNamed) {
    FakeMachine machine({real_dump(), real_dump(), real_dump()});
    const auto ask = machine.sources.cpuid;
    machine.sources.cpuid = [ask](unsigned cpu) -> Result<arch::CpuidDump> {
        if (cpu == 1) return machine_error("not allowed to run there");
        return ask(cpu);
    };
    machine.root.write("sys/devices/system/cpu/offline", "3-4\n");
    machine.root.write("sys/devices/system/cpu/present", "0-3\n");
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile);
    EXPECT_EQ(profile->cpus.front().cpus, "0,2");
    EXPECT_THAT(profile->notes, Contains("CPUs 1 could not be asked: not allowed to run there"));
    EXPECT_THAT(profile->notes, Contains("CPUs 3 are offline and were not asked"));
}

TEST(Probe, NoCpuThatAnswersIsAnError) {
    FakeMachine machine({real_dump()});
    machine.sources.cpuid = [](unsigned) -> Result<arch::CpuidDump> { return machine_error("forbidden"); };
    const auto profile = probe(machine.sources);
    ASSERT_FALSE(profile);
    EXPECT_EQ(profile.error().kind, ErrorKind::machine);
    EXPECT_THAT(profile.error().message(), HasSubstr("forbidden"));
}

TEST(Probe, XcrDecidesWhatIsUsable) {
    const FakeMachine machine({real_dump()}, 0x7);  // AVX, but no AVX-512 state
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile);
    EXPECT_TRUE(profile->features.contains(id("avx2")));
    EXPECT_FALSE(profile->features.contains(id("avx512f")));
}

TEST(Probe, WithoutOsxsaveXgetbvIsNotExecutedAndNothingNeedsAnArea) {
    auto dump = real_dump();
    dump[{1, 0}].ecx &= ~(1U << 27U);
    FakeMachine machine({dump});
    bool executed = false;
    machine.sources.xgetbv = [&executed] {
        executed = true;
        return std::uint64_t{7};
    };
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile);
    EXPECT_FALSE(executed) << "XGETBV raises SIGILL here";
    ASSERT_TRUE(profile->xsave);
    EXPECT_EQ(profile->xsave->maximum_size, 0U);
    EXPECT_FALSE(profile->features.contains(id("avx")));
    EXPECT_TRUE(profile->features.contains(id("sse4_2")));
    EXPECT_TRUE(from_json(to_json(*profile), "x"));
}

TEST(Probe, KernelThatLeavesFsgsbaseOffHidesIt) {
    FakeMachine machine({real_dump()});
    machine.sources.auxv = test::auxv({{16, 0x178bfbff}, {26, 0}});
    const auto profile = probe(machine.sources);
    ASSERT_TRUE(profile);
    EXPECT_FALSE(profile->features.contains(id("fsgsbase")));
    EXPECT_TRUE(profile->known.contains(id("fsgsbase")));
}

TEST(Probe, DamagedAuxiliaryVectorIsAnError) {
    FakeMachine machine({real_dump()});
    machine.sources.auxv.resize(13);
    EXPECT_FALSE(probe(machine.sources));
}

TEST(Probe, ArmMachineIsReadFromHwcapAndRegisters) {
    test::TemporaryFolder root;
    root.write("sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "0x00000000413fd0c1\n");
    ProbeSources sources;
    sources.architecture = arch::Architecture::aarch64;
    sources.root = root.path();
    sources.auxv = test::auxv({{16, 0x3}, {26, 0}, {6, 65536}});
    sources.registers = {{"CTR_EL0", 0x8444c004}, {"DCZID_EL0", 4}};
    const auto profile = probe(sources);
    ASSERT_TRUE(profile) << profile.error().message();
    EXPECT_EQ(profile->identity.brand, "Neoverse-N1");
    EXPECT_EQ(profile->registers.at("DCZID_EL0"), 4U);
    EXPECT_EQ(profile->page_size, 65536U);
    EXPECT_EQ(names(profile->architecture, profile->features), (std::vector<std::string>{"asimd", "fp"}));
    EXPECT_TRUE(profile->cpus.empty());
    const auto back = from_json(to_json(*profile), "x");
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), to_json(*profile));
}

TEST(Derive, MissingLeavesAreUnknownAndLeavesThatDoNotExistAreNot) {
    auto dump = real_dump();
    dump.erase({7, 0});
    EXPECT_FALSE(known_from_cpuid(dump).contains(id("avx2")));
    dump[{0, 0}].eax = 6;  // no leaf 7 at all
    EXPECT_TRUE(known_from_cpuid(dump).contains(id("avx2")));
}

TEST(Derive, AbsurdXsaveSizesAreRefused) {
    auto dump = real_dump();
    dump[{0xd, 2}].eax = 0x10000000;
    const auto layout = xsave_layout(dump, 7);
    ASSERT_FALSE(layout);
    EXPECT_THAT(layout.error().message(), HasSubstr("subleaf 2"));
}

TEST(Derive, WithoutXgetbvTheLargestSizeIsAssumed) {
    auto dump = real_dump();
    dump[{0xd, 0}].ebx = 576;  // what a firmware's tool sees: nothing but x87 and SSE enabled
    const auto layout = xsave_layout(dump, std::nullopt);
    ASSERT_TRUE(layout && *layout);
    EXPECT_FALSE((*layout)->xcr0_enabled);
    EXPECT_EQ((*layout)->standard_size, 2432U);
    EXPECT_EQ((*layout)->xcr0, 0xe7U);
}

}  // namespace
}  // namespace cpulevel::profile
