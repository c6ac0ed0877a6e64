#include "profile/probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "inherit/aux_vector.h"
#include "profile/arm_identity.h"
#include "profile/cpu_list.h"
#include "profile/derive.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

constexpr std::size_t kSmallFile = 1U << 16U;  // bytes; files of proc and sys that hold one line
constexpr std::uint32_t kOsxsaveBit = 1U << 27U;  // leaf 1 ECX

std::string line_of(const ProbeSources& sources, const char* path) {
    const auto text = read_file(sources.root + "/" + path, kSmallFile);
    return text ? printable(trim(*text)) : std::string{};
}

Result<void> read_auxv(const ProbeSources& sources, NodeProfile& profile) {
    const auto parsed = inherit::AuxVector::parse(sources.auxv, inherit::WordSize::bits64);
    if (!parsed) return std::unexpected(parsed.error());
    for (std::size_t word = 0; word < profile.hwcap.size(); ++word) {
        profile.hwcap[word] = parsed->find(inherit::kHwcapTypes[word]);
    }
    profile.minimum_signal_stack = parsed->find(inherit::kAtMinimumSignalStack);
    profile.page_size = parsed->find(inherit::kAtPageSize);
    if (sources.platform) profile.platform = printable(*sources.platform);
    return {};
}

// Which CPUs to ask. Offline CPUs cannot be; what they would say is not known, and a note says so where the kernel
// tells of them.
std::vector<unsigned> online_cpus(const ProbeSources& sources, NodeProfile& profile) {
    const auto list_of = [&](const char* path) {
        auto cpus = parse_cpu_list(line_of(sources, path));
        return cpus ? *std::move(cpus) : std::vector<unsigned>{};
    };
    auto online = list_of("sys/devices/system/cpu/online");
    if (online.empty()) {
        profile.notes.push_back("the list of online CPUs cannot be read; only CPU 0 was asked");
        online.push_back(0);
    }
    const auto offline = list_of("sys/devices/system/cpu/offline");
    // Hot-plug slots that were never filled are "offline" as well; present tells those that exist.
    const auto present = list_of("sys/devices/system/cpu/present");
    std::vector<unsigned> sleeping;
    std::ranges::set_intersection(offline, present, std::back_inserter(sleeping));
    if (!sleeping.empty()) {
        profile.notes.push_back(fmt::format("CPUs {} are offline and were not asked", format_cpu_list(sleeping)));
    }
    return online;
}

Result<void> ask_cpus(const ProbeSources& sources, NodeProfile& profile) {
    CpuCollector collector;
    std::map<std::string, std::vector<unsigned>> failures;
    for (const unsigned cpu : online_cpus(sources, profile)) {
        const auto dump = sources.cpuid(cpu);
        if (dump) {
            collector.add(cpu, *dump);
        } else {
            failures[dump.error().message()].push_back(cpu);
        }
    }
    for (const auto& [why, cpus] : failures) {
        profile.notes.push_back(fmt::format("CPUs {} could not be asked: {}", format_cpu_list(cpus), why));
    }
    profile.cpus = collector.groups();
    if (profile.cpus.empty()) {
        return machine_error("no CPU could be asked for its CPUID", profile.name,
                             failures.empty() ? "no CPU is online" : failures.begin()->first);
    }
    return {};
}

Result<void> read_x86(const ProbeSources& sources, NodeProfile& profile) {
    if (auto asked = ask_cpus(sources, profile); !asked) return asked;
    const auto leaf1 = arch::find(profile.cpus.front().cpuid, 1);
    const bool osxsave = leaf1 && (leaf1->ecx & kOsxsaveBit) != 0;
    const std::uint64_t xcr0 = osxsave && sources.xgetbv ? sources.xgetbv() : 0;
    if (sources.cpuid_faulting) profile.cpuid_faulting = sources.cpuid_faulting();
    return complete_x86(profile, xcr0);
}

void read_others(const ProbeSources& sources, NodeProfile& profile) {
    profile.registers = sources.registers;
    const Derived derived = derive_features(profile.architecture, {}, std::nullopt, profile.hwcap);
    profile.features = derived.features;
    profile.known = derived.known;
    if (profile.architecture == arch::Architecture::aarch64) {
        const auto midr =
            parse_hex(line_of(sources, "sys/devices/system/cpu/cpu0/regs/identification/midr_el1"));
        if (midr) profile.identity = arm_identity(*midr);
    } else if (profile.platform) {
        profile.identity.brand = *profile.platform;
    }
}

}  // namespace

Result<NodeProfile> probe(const ProbeSources& sources) {
    NodeProfile profile;
    profile.architecture = sources.architecture;
    profile.origin = "scan";
    profile.name = line_of(sources, "proc/sys/kernel/hostname");
    if (profile.name.empty()) profile.name = "this machine";
    profile.kernel = line_of(sources, "proc/sys/kernel/osrelease");
    if (auto read = read_auxv(sources, profile); !read) return std::unexpected(read.error());
    if (sources.architecture == arch::Architecture::x86_64) {
        if (!sources.cpuid) return usage_error("no source of CPUID given", profile.name);
        if (auto read = read_x86(sources, profile); !read) return std::unexpected(read.error());
    } else {
        read_others(sources, profile);
    }
    return profile;
}

Result<NodeProfile> probe_this_machine() {
    const auto sources = this_machine();
    if (!sources) return std::unexpected(sources.error());
    return probe(*sources);
}

}  // namespace cpulevel::profile
