// Which channels this machine lets us cover, found out by doing, before any program starts.
#include "engine/probe/probes.h"
#include "engine/ptrace/run.h"
#include "profile/probe.h"

namespace cpulevel::engine::ptrace {

namespace {

Channel cpuid_channel(CpuidMethod method) {
    switch (method) {
        case CpuidMethod::faulting: return {"CPUID", ChannelState::full, ""};
        case CpuidMethod::planted:
            return {"CPUID", ChannelState::partial,
                    "this CPU or hypervisor has no CPUID faulting: the CPUID instructions that decoding proves in programs "
                    "and libraries are covered; those in code made at run time (Java, JavaScript compilers) and in files "
                    "without unwind or symbol information see the real CPU"};
        case CpuidMethod::none:
            return {"CPUID", ChannelState::none,
                    "this CPU or hypervisor has no CPUID faulting, and with --no-patch no traps are planted: programs "
                    "see the real CPU"};
    }
    return {};
}

}  // namespace

Result<Preparation> prepare(const level::Level& level, const arch::CpuidDump& host, const RunOptions& options) {
    if (level.architecture != arch::Architecture::x86_64) {
        return usage_error("this level is for another architecture", std::string(arch::name(level.architecture)),
                           "programs here are x86-64");
    }
    const bool faulting = profile::cpuid_faulting_works().value_or(false);
    const CpuidMethod method = faulting              ? CpuidMethod::faulting
                               : options.may_patch ? CpuidMethod::planted
                                                   : CpuidMethod::none;
    const Capability set_mm_map = probe::set_mm_map();
    const bool saved = set_mm_map.works == Works::yes;

    Coverage coverage;
    coverage.push_back({"auxiliary vector on the stack", ChannelState::full, ""});
    coverage.push_back({"/proc/PID/auxv, PR_GET_AUXV", saved ? ChannelState::full : ChannelState::none,
                        saved ? "" : set_mm_map.missing});
    coverage.push_back(cpuid_channel(method));
    return Preparation{make_policy(level, host, method, saved), std::move(coverage)};
}

}  // namespace cpulevel::engine::ptrace
