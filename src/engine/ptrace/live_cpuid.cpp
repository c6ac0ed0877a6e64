#include "engine/ptrace/live_cpuid.h"

#include "profile/native.h"

namespace cpulevel::engine::ptrace {

LiveCpuid::LiveCpuid() { ::sched_getaffinity(0, sizeof home_, &home_); }

arch::CpuidRegisters LiveCpuid::ask(int cpu, std::uint32_t leaf, std::uint32_t subleaf) {
    const auto key = std::pair{cpu, arch::CpuidKey{leaf, subleaf}};
    if (const auto known = answers_.find(key); known != answers_.end()) return known->second;
    bool is_there = false;
    if (cpu >= 0 && cpu < CPU_SETSIZE) {
        cpu_set_t there;
        CPU_ZERO(&there);
        CPU_SET(static_cast<unsigned>(cpu), &there);
        is_there = ::sched_setaffinity(0, sizeof there, &there) == 0 &&
                   profile::native::cpu_by_segment() == static_cast<std::uint32_t>(cpu);
    }
    const arch::CpuidRegisters registers = profile::native::cpuid(leaf, subleaf);
    if (cpu >= 0) ::sched_setaffinity(0, sizeof home_, &home_);
    constexpr std::size_t kMost = 65536;  // the programs choose the subleaves: a hostile one must not fill our memory
    if (answers_.size() < kMost) {
        answers_.emplace(key, registers);
        if (is_there) learnt_ = recognised_.emplace(key, registers).second;
    }
    return registers;
}

}  // namespace cpulevel::engine::ptrace
