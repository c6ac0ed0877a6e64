// Which channels this machine lets us cover, found out by doing, before any program starts.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>

#include <cerrno>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "engine/ptrace/run.h"
#include "level/compare.h"
#include "level/level_json.h"
#include "profile/native.h"
#include "profile/probe.h"
#include "util/text.h"

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

// Whether anonymous memory can have a name in /proc/PID/maps (Linux 5.17, CONFIG_ANON_VMA_NAME).
bool can_name_memory() {
    constexpr std::size_t kPage = 4096;
    constexpr int kSetVma = 0x53564d41;  // PR_SET_VMA
    void* const page = ::mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    const bool named = ::prctl(kSetVma, 0UL, page, kPage, "cpulevel") == 0;
    ::munmap(page, kPage);
    return named;
}

// A program that sets CPUID faulting itself would switch the level off; the filter (call_filter.h) keeps it virtual.
void watch_faulting(Preparation& preparation) {
    Policy& policy = preparation.policy;
    policy.watch_calls = call_filter_possible() && probe::seccomp().works == Works::yes;
    while (policy.watch_calls && policy.cookie == 0) {
        if (::getrandom(&policy.cookie, sizeof policy.cookie, 0) < 0) break;
    }
    if (policy.watch_calls) return;
    preparation.coverage.push_back(
        {"CPUID faulting that programs set", ChannelState::none,
         "no seccomp filter can be installed here without changing what set-user-ID programs do: a program that calls "
         "arch_prctl(ARCH_SET_CPUID, 1) sees the real CPU"});
}

// What is the same for `run` and `inherit`: the vectors.
Preparation prepare_vectors() {
    Preparation preparation;
    const Capability set_mm_map = probe::set_mm_map();
    const bool saved = set_mm_map.works == Works::yes;
    preparation.policy.set_saved_vector = saved;
    preparation.coverage.push_back({"auxiliary vector on the stack", ChannelState::full, ""});
    preparation.coverage.push_back({"/proc/PID/auxv, PR_GET_AUXV", saved ? ChannelState::full : ChannelState::none,
                                    saved ? "" : set_mm_map.missing});
    preparation.coverage.push_back({"vectors that programs set by prctl", ChannelState::full, ""});
    return preparation;
}

// arm64: the ID registers (MRS, emulated by the kernel) and the length of vectors.
void prepare_arm(const level::Level& level, Preparation& preparation) {
    const auto cpuid = arch::table(level.architecture).find("cpuid");
    const bool shown = cpuid && level.features.contains(*cpuid);
    preparation.coverage.push_back(
        {"ID registers", shown ? ChannelState::none : ChannelState::full,
         shown ? "the level shows HWCAP_CPUID, so programs read the ID registers, and those are the machine's own" : ""});

    const VectorLengths lengths = preparation.policy.vector_lengths;
    if (!lengths.sve && !lengths.sme) return;
    const auto tried = probe::ask_child<int>([&](int& error) { error = set_vector_lengths(lengths); });
    const int error = tried.value.value_or(EAGAIN);
    if (error != 0) preparation.policy.vector_lengths = {};
    preparation.coverage.push_back(
        {"length of vectors", error == 0 ? ChannelState::full : ChannelState::none,
         error == 0 ? "" : "this machine cannot give programs the level's length: " + probe::errno_text(error)});
}

}  // namespace

Result<Preparation> prepare(const level::Level& level, const profile::NodeProfile& here, const RunOptions& options) {
    if (level.architecture != here.architecture) {
        return usage_error("this level is for another architecture", std::string(arch::name(level.architecture)),
                           fmt::format("programs here are {}", arch::name(here.architecture)));
    }
    Preparation preparation = prepare_vectors();
    preparation.level = level;
    preparation.may_patch = options.may_patch;
    preparation.trap_only = options.trap_only;
    const arch::CpuidDump host = here.cpus.empty() ? arch::CpuidDump{} : here.cpus.front().cpuid;
    if (profile::native::has_cpuid()) {
        const bool faulting = here.cpuid_faulting.value_or(false);
        const CpuidMethod method = faulting              ? CpuidMethod::faulting
                                   : options.may_patch ? CpuidMethod::planted
                                                       : CpuidMethod::none;
        impose(preparation.policy, level, host, method, options.may_patch && !options.trap_only);
        preparation.policy.name_areas = can_name_memory();
        preparation.coverage.push_back(cpuid_channel(method));
        if (method == CpuidMethod::faulting) watch_faulting(preparation);
    } else {
        impose(preparation.policy, level, host, CpuidMethod::none, false);
        if (level.architecture == arch::Architecture::aarch64) prepare_arm(level, preparation);
    }
    return preparation;
}

Result<Preparation> prepare_again(const Preparation& before) {
    if (!before.level) return prepare_inheritance();
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    if (auto given = level::check_given(*before.level, *here); !given) return std::unexpected(std::move(given.error()));
    RunOptions options;
    options.may_patch = before.may_patch;
    options.trap_only = before.trap_only;
    auto again = prepare(*before.level, *here, options);
    if (!again) return again;
    // The filter that programs have, or lack, is the one that they started with.
    if (again->policy.watch_calls && !before.policy.watch_calls) do_without_filter(*again);
    again->policy.watch_calls = before.policy.watch_calls;
    again->policy.filter_is_ours = before.policy.filter_is_ours;
    again->policy.cookie = before.policy.cookie;
    return again;
}

void do_without_filter(Preparation& preparation) {
    preparation.policy.watch_calls = false;
    preparation.coverage.push_back({"CPUID faulting that programs set", ChannelState::none,
                                    "what runs already was started without the filter for arch_prctl(ARCH_SET_CPUID)"});
}

std::string level_text(const Preparation& preparation) {
    return preparation.level ? level::to_json(*preparation.level) : std::string{};
}

Preparation prepare_inheritance() {
    Preparation preparation = prepare_vectors();
    preparation.policy.level_name = "(inherited)";
    if (const auto here = profile::native::architecture()) preparation.policy.security_bits = security_bits(*here);
    return preparation;
}

}  // namespace cpulevel::engine::ptrace
