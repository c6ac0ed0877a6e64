// The real CPUID of any CPU of this machine, for LIVE fields: what a thread would have read on the CPU where it is.
// The engine runs on another CPU than the stopped thread, so it goes there to ask, once for each CPU and leaf.
#pragma once

#include <sched.h>

#include <cstdint>
#include <utility>

#include "cpuid/live_rows.h"
#include "cpuid/virtual_cpuid.h"

namespace cpulevel::engine::ptrace {

class LiveCpuid {
   public:
    LiveCpuid();
    // `cpu` -1, or one where we may not run: asked on the CPU where the engine is.
    [[nodiscard]] arch::CpuidRegisters ask(int cpu, std::uint32_t leaf, std::uint32_t subleaf);

    // Asks each CPU where we may run for every LIVE field of the table, in one visit.
    void learn(const cpuid::VirtualCpuid& table);

    // What was asked on CPUs that a program recognises too (cpu_by_segment()), and whether that has become more since the
    // last call.
    [[nodiscard]] const cpuid::LiveAnswers& recognised() const { return recognised_; }
    [[nodiscard]] bool learnt() { return std::exchange(learnt_, false); }

   private:
    bool go_to(int cpu);  // true: a program there recognises it too
    void keep(int cpu, bool recognised, const arch::CpuidKey& key, const arch::CpuidRegisters& registers);

    cpuid::LiveAnswers answers_, recognised_;
    bool learnt_ = false;
    cpu_set_t home_{};
};

}  // namespace cpulevel::engine::ptrace
