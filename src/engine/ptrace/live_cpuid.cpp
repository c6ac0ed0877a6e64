#include "engine/ptrace/live_cpuid.h"

#include "profile/native.h"

namespace cpulevel::engine::ptrace {

LiveCpuid::LiveCpuid() { ::sched_getaffinity(0, sizeof home_, &home_); }

bool LiveCpuid::go_to(int cpu) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) return false;
    cpu_set_t there;
    CPU_ZERO(&there);
    CPU_SET(static_cast<unsigned>(cpu), &there);
    return ::sched_setaffinity(0, sizeof there, &there) == 0 &&
           profile::native::cpu_by_segment() == static_cast<std::uint32_t>(cpu);
}

void LiveCpuid::keep(int cpu, bool recognised, const arch::CpuidKey& key, const arch::CpuidRegisters& registers) {
    constexpr std::size_t kMost = 65536;  // the programs choose the subleaves: a hostile one must not fill our memory
    if (answers_.size() >= kMost) return;
    answers_.emplace(std::pair{cpu, key}, registers);
    if (recognised && recognised_.emplace(std::pair{cpu, key}, registers).second) learnt_ = true;
}

arch::CpuidRegisters LiveCpuid::ask(int cpu, std::uint32_t leaf, std::uint32_t subleaf) {
    const arch::CpuidKey key{leaf, subleaf};
    if (const auto known = answers_.find({cpu, key}); known != answers_.end()) return known->second;
    const bool is_there = go_to(cpu);
    const arch::CpuidRegisters registers = profile::native::cpuid(leaf, subleaf);
    if (cpu >= 0) ::sched_setaffinity(0, sizeof home_, &home_);
    keep(cpu, is_there, key, registers);
    return registers;
}

void LiveCpuid::learn(const cpuid::VirtualCpuid& table) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(static_cast<unsigned>(cpu), &home_) || !go_to(cpu)) continue;
        for (const auto& [key, entry] : table.entries()) {
            if (entry.live != arch::CpuidRegisters{}) keep(cpu, true, key, profile::native::cpuid(key.leaf, key.subleaf));
        }
    }
    ::sched_setaffinity(0, sizeof home_, &home_);
}

}  // namespace cpulevel::engine::ptrace
