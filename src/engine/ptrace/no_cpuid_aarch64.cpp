// There is no CPUID on arm64: nothing to catch, to plant or to ask. (Its ID registers are read by MRS, which the kernel
// emulates; levels hide HWCAP_CPUID, so that programs do not go there.)
#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

bool Supervisor::on_segmentation_fault(Thread&) { return false; }

PlantingCounts Planter::plant_program(pid_t, AddressSpace&, std::uint64_t) { return {}; }
PlantingCounts Planter::plant_mapping(pid_t, AddressSpace&, std::uint64_t, std::uint64_t, int, std::uint64_t) { return {}; }

}  // namespace cpulevel::engine::ptrace
