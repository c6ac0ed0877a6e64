#include "engine/ptrace/live_cpuid.h"

#include <unistd.h>

#include <algorithm>

#include "profile/native.h"

namespace cpulevel::engine::ptrace {

namespace {

bool go_to(int cpu) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) return false;
    cpu_set_t there;
    CPU_ZERO(&there);
    CPU_SET(static_cast<unsigned>(cpu), &there);
    return ::sched_setaffinity(0, sizeof there, &there) == 0;
}

}  // namespace

LiveCpuid::LiveCpuid() { ::sched_getaffinity(0, sizeof home_, &home_); }

arch::CpuidRegisters LiveCpuid::ask(int cpu, std::uint32_t leaf, std::uint32_t subleaf) {
    const auto key = std::pair{cpu, arch::CpuidKey{leaf, subleaf}};
    if (const auto known = answers_.find(key); known != answers_.end()) return known->second;
    go_to(cpu);
    const arch::CpuidRegisters registers = profile::native::cpuid(leaf, subleaf);
    if (cpu >= 0) ::sched_setaffinity(0, sizeof home_, &home_);
    constexpr std::size_t kMost = 65536;  // the programs choose the subleaves: a hostile one must not fill our memory
    if (answers_.size() < kMost) answers_.emplace(key, registers);
    return registers;
}

// Also CPUs that our own affinity leaves out: a program can go there.
cpuid::LiveAnswers LiveCpuid::learn(const cpuid::VirtualCpuid& table) const {
    cpuid::LiveAnswers learnt;
    const int cpus = static_cast<int>(std::min<long>(::sysconf(_SC_NPROCESSORS_CONF), CPU_SETSIZE));
    for (int cpu = 0; cpu < cpus; ++cpu) {
        if (!go_to(cpu) || profile::native::cpu_by_segment() != static_cast<std::uint32_t>(cpu)) continue;
        for (const auto& [key, entry] : table.entries()) {
            if (entry.live == arch::CpuidRegisters{}) continue;
            learnt.emplace(std::pair{cpu, key}, profile::native::cpuid(key.leaf, key.subleaf));
        }
    }
    ::sched_setaffinity(0, sizeof home_, &home_);
    return learnt;
}

}  // namespace cpulevel::engine::ptrace
