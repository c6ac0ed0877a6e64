// The real CPUID of any CPU of this machine, for LIVE fields: what a thread would have read on the CPU where it is.
// The engine runs on another CPU than the stopped thread, so it goes there to ask, once for each CPU and leaf.
#pragma once

#include <sched.h>

#include <cstdint>

#include "cpuid/live_rows.h"
#include "cpuid/virtual_cpuid.h"

namespace cpulevel::engine::ptrace {

class LiveCpuid {
   public:
    LiveCpuid();
    // `cpu` -1, or one where we may not run: asked on the CPU where the engine is.
    [[nodiscard]] arch::CpuidRegisters ask(int cpu, std::uint32_t leaf, std::uint32_t subleaf);

    // What each CPU where we may run, and that a program recognises too (cpu_by_segment()), answers to every LIVE field of the table.
    [[nodiscard]] cpuid::LiveAnswers learn(const cpuid::VirtualCpuid& table) const;

   private:
    cpuid::LiveAnswers answers_;
    cpu_set_t home_{};
};

}  // namespace cpulevel::engine::ptrace
