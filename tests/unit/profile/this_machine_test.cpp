// The probe on the machine that runs the tests, against what the kernel and the C library say on their own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "profile/cpu_list.h"
#include "profile/derive.h"
#include "profile/probe.h"
#include "profile/profile_json.h"
#include "support.h"

namespace cpulevel::profile {
namespace {

TEST(ThisMachine, AgreesWithTheKernel) {
    const auto profile = probe_this_machine();
    ASSERT_TRUE(profile) << profile.error().message();
    utsname names{};
    ASSERT_EQ(::uname(&names), 0);
    EXPECT_EQ(profile->kernel, names.release);
    EXPECT_EQ(arch::name(profile->architecture), names.machine);
    EXPECT_EQ(profile->page_size, static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    EXPECT_EQ(profile->hwcap[1].value_or(0), ::getauxval(AT_HWCAP2));
    EXPECT_TRUE(profile->features.is_subset_of(profile->known));
    const auto back = from_json(to_json(*profile), "scan");
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), to_json(*profile));
}

TEST(ThisMachine, AsksEveryCpuAndLeavesTheCallerWhereItWas) {
    cpu_set_t before, after;
    ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    const auto profile = probe_this_machine();
    ASSERT_TRUE(profile) << profile.error().message();
    ASSERT_EQ(::sched_getaffinity(0, sizeof after, &after), 0);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
    if (profile->architecture != arch::Architecture::x86_64) GTEST_SKIP() << "SKIPPED: no CPUID on this architecture";
    std::size_t asked = 0;
    for (const CpuGroup& group : profile->cpus) asked += parse_cpu_list(group.cpus)->size();
    if (profile->notes.empty()) {
        EXPECT_EQ(asked, static_cast<std::size_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
    }
    EXPECT_GE(asked, 1U);
}

// What /proc/cpuinfo names must be known, and nothing that it names may be missing in the profile.
TEST(ThisMachine, HasWhatProcCpuinfoNames) {
    const auto scanned = probe_this_machine();
    ASSERT_TRUE(scanned) << scanned.error().message();
    const auto told = load_profile("/proc/cpuinfo");
    if (!told) GTEST_SKIP() << "SKIPPED: " << told.error().message();
    ASSERT_EQ(told->architecture, scanned->architecture);
    // A virtual machine that was moved since it booted: its kernel still describes the CPU that it booted on.
    if (told->identity.brand != scanned->identity.brand) {
        GTEST_SKIP() << "SKIPPED: the kernel describes another CPU (" << told->identity.brand << ") than CPUID does ("
                     << scanned->identity.brand << ")";
    }
    EXPECT_EQ(told->identity.model, scanned->identity.model);
    const auto missing = names(told->architecture, told->features - scanned->features);
    EXPECT_TRUE(missing.empty()) << missing.front();
}

TEST(ThisMachine, TryingCpuidFaultingLeavesCpuidWorking) {
    const auto here = dump_cpuid_here();
    if (!here) GTEST_SKIP() << "SKIPPED: " << here.error().message();
    const auto works = cpuid_faulting_works();
    ASSERT_TRUE(works);
    const auto again = dump_cpuid_here();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->at({0, 0}), here->at({0, 0}));
}

}  // namespace
}  // namespace cpulevel::profile
