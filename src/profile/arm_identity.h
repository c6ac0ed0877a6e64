// Names for the codes of MIDR_EL1 (Arm ARM, "MIDR_EL1, Main ID Register"), as /proc/cpuinfo and sysfs give them.
#pragma once

#include <cstdint>

#include "profile/node_profile.h"

namespace cpulevel::profile {

// Vendor and brand; family is the architecture field (8 and later: 0xf), model the part number, stepping the
// variant << 4 | revision. Codes without a name here appear as hex.
[[nodiscard]] Identity arm_identity(std::uint64_t midr);

}  // namespace cpulevel::profile
