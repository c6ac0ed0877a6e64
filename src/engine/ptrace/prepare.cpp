// Which channels this machine lets us cover, found out by doing, before any program starts.
#include <sys/random.h>

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

// What is the same for `run` and `inherit`: the saved vector and the calls that are watched.
Preparation prepare_vectors() {
    Preparation preparation;
    const Capability set_mm_map = probe::set_mm_map();
    const bool saved = set_mm_map.works == Works::yes;
    preparation.policy.set_saved_vector = saved;
    preparation.coverage.push_back({"auxiliary vector on the stack", ChannelState::full, ""});
    preparation.coverage.push_back({"/proc/PID/auxv, PR_GET_AUXV", saved ? ChannelState::full : ChannelState::none,
                                    saved ? "" : set_mm_map.missing});
    const bool watch = call_filter_possible() && probe::seccomp().works == Works::yes;
    preparation.policy.watch_calls = watch;
    if (watch) {
        while (preparation.policy.cookie == 0) {
            if (::getrandom(&preparation.policy.cookie, sizeof preparation.policy.cookie, 0) < 0) break;
        }
    }
    preparation.coverage.push_back(
        {"vectors that programs set by prctl", watch ? ChannelState::full : ChannelState::none,
         watch ? ""
               : "no seccomp filter can be installed here without changing what set-user-ID programs do: what a program "
                 "sets for itself is not inherited by the programs it starts"});
    return preparation;
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
    Preparation preparation = prepare_vectors();
    impose(preparation.policy, level, host, method);
    preparation.coverage.push_back(cpuid_channel(method));
    return preparation;
}

Preparation prepare_inheritance() {
    Preparation preparation = prepare_vectors();
    preparation.policy.level_name = "(inherited)";
    preparation.policy.security_bits = security_bits(arch::Architecture::x86_64);
    return preparation;
}

}  // namespace cpulevel::engine::ptrace
