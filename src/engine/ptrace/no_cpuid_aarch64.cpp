// There is no CPUID on arm64: nothing to catch, to plant or to ask. (Its ID registers are read by MRS, which the kernel
// emulates; levels hide HWCAP_CPUID, so that programs do not go there.)
#include "engine/ptrace/supervisor.h"

namespace cpulevel::engine::ptrace {

bool Supervisor::on_segmentation_fault(Thread&) { return false; }

PlantingCounts& PlantingCounts::operator+=(const PlantingCounts&) { return *this; }
std::vector<CodeModule> Planter::examine_program(pid_t, std::uint64_t, std::uint64_t, bool, PlantingCounts&) { return {}; }
std::optional<CodeModule> Planter::examine_mapping(pid_t, std::uint64_t, std::uint64_t, int, std::uint64_t, PlantingCounts&) {
    return {};
}
PlantingCounts Planter::install(pid_t, const Fd&, AddressSpace&, const CodeModule&, std::vector<std::byte>*) const { return {}; }
std::vector<CodeModule> Planter::examine_process(pid_t, std::uint64_t, PlantingCounts&) { return {}; }
std::vector<KnownArea> Planter::find_areas(pid_t) const { return {}; }
std::optional<PlantingCounts> Planter::take_over(pid_t, AddressSpace&, const CodeModule&, std::span<const KnownArea>,
                                                 std::vector<ChangedByte>&) const {
    return PlantingCounts{};
}
bool Planter::forget_live_answers(pid_t, const AddressSpace&, std::vector<ChangedByte>&) const { return true; }
std::vector<std::uint64_t> Planter::live_sites(pid_t) { return {}; }
void Planter::find_traps(pid_t, AddressSpace&) {}
void Supervisor::learn_live_answers() {}
bool Supervisor::start_quickly(Thread&, const Registers&, NewProgram&) { return false; }
bool Supervisor::on_quick_trap(Thread&) { return false; }
bool Supervisor::leave_quick_start(Thread&) { return false; }
std::optional<bool> Supervisor::answers_the_level(Thread&, std::uint64_t) { return std::nullopt; }

}  // namespace cpulevel::engine::ptrace
