// The probe: a machine's profile from what its CPUs and its kernel answer. Every answer comes in through ProbeSources,
// so that any machine can be played back from recorded values; this_machine() is the one that really asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/cpuid_dump.h"
#include "arch/feature.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::profile {

struct ProbeSources {
    arch::Architecture architecture = arch::Architecture::x86_64;
    // The root below which proc/ and sys/ are read: proc/sys/kernel/{hostname,osrelease},
    // sys/devices/system/cpu/online, and on arm64 sys/devices/system/cpu/cpu0/regs/identification/midr_el1.
    std::string root = "/";
    // The bytes of /proc/self/auxv. Not getauxval(): glibc's answer for AT_HWCAP is its own, changed by tunables.
    std::vector<std::byte> auxv;
    std::optional<std::string> platform;  // the string to which AT_PLATFORM points
    // x86: all that CPUID answers on that CPU. An error is a CPU that could not be asked (offline meanwhile, outside
    // of the cpuset); the profile is then made of the others and says so.
    std::function<Result<arch::CpuidDump>(unsigned cpu)> cpuid;
    // x86: XCR0. Called only where CPUID shows OSXSAVE: without it XGETBV is an illegal instruction.
    std::function<std::uint64_t()> xgetbv;
    // x86: whether CPUID faulting works, by doing it; nothing: could not be tried.
    std::function<std::optional<bool>()> cpuid_faulting;
    // Other architectures: values that programs read and latch ("CTR_EL0", "DCZID_EL0", "sve_vector_length").
    std::map<std::string, std::uint64_t> registers;
};

[[nodiscard]] Result<NodeProfile> probe(const ProbeSources& sources);

[[nodiscard]] Result<ProbeSources> this_machine();
[[nodiscard]] Result<NodeProfile> probe_this_machine();

// All that CPUID answers on the CPU where the calling thread is now. An error on other architectures.
[[nodiscard]] Result<arch::CpuidDump> dump_cpuid_here();

// Does ARCH_SET_CPUID really make CPUID fault here? Tried in a child process, so that nothing of it is left on here.
[[nodiscard]] std::optional<bool> cpuid_faulting_works();

}  // namespace cpulevel::profile
