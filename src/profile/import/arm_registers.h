// What the ID registers of an Arm processor say, in the words of HWCAP.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "arch/feature.h"

namespace cpulevel::profile::import {

// By the names of the Arm ARM without "_EL1", lower case: "id_aa64isar0".
using ArmRegisters = std::map<std::string, std::uint64_t, std::less<>>;

struct ArmFeatures {
    arch::FeatureSet features;  // the processor has it; a kernel that knows it shows it to programs
    arch::FeatureSet known;     // the register is there, and tells
};
[[nodiscard]] ArmFeatures features_of(const ArmRegisters& registers);

}  // namespace cpulevel::profile::import
