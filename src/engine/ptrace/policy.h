// What one run imposes on its programs, settled before the first of them starts and constant from then on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpuid/virtual_cpuid.h"
#include "engine/ptrace/call_filter.h"
#include "engine/ptrace/vector_length.h"
#include "inherit/marks.h"
#include "level/level.h"

namespace cpulevel::engine::ptrace {

// How a program's CPUID instructions are caught.
enum class CpuidMethod : std::uint8_t {
    faulting,  // the CPU makes each of them fault (ARCH_SET_CPUID)
    planted,   // traps planted over those that decoding proves (planting.h); the others see the real CPU
    none,      // not at all
};
[[nodiscard]] std::string_view name(CpuidMethod method);

struct Policy {
    std::string level_name;
    inherit::Imposed imposed;
    std::map<inherit::AbiFamily, inherit::HwcapWords> security_bits;  // an ABI that is not there has none
    std::optional<std::string> platform;  // AT_PLATFORM to show
    cpuid::VirtualCpuid cpuid;
    CpuidMethod method = CpuidMethod::none;
    std::vector<std::byte> table;  // the same for programs' own memory (cpuid/flat_table.h); empty: text is not changed
    bool name_areas = false;        // PR_SET_VMA_ANON_NAME works here
    VectorLengths vector_lengths;
    bool set_saved_vector = false;  // PR_SET_MM_MAP works here
    bool watch_calls = false;       // the call filter is there: ARCH_SET_CPUID is virtual
    bool filter_is_ours = false;  // and every program of the tree was started with it by us: one filter is that one
    FilterCookie cookie = 0;
};

// The level's part of a policy.
void impose(Policy& policy, const level::Level& level, const arch::CpuidDump& host, CpuidMethod method, bool may_patch);
[[nodiscard]] std::map<inherit::AbiFamily, inherit::HwcapWords> security_bits(arch::Architecture architecture);

}  // namespace cpulevel::engine::ptrace
