// What names of CPUs stand for. A machine that is described by such a name has at least these features; of all others
// nothing is said.
//   models   of QEMU and libvirt ("Haswell", "EPYC-Rome"), data/cpu_models.json: what all tools that use the name agree on
//   targets  microarchitectures of archspec and Spack ("skylake_avx512", "zen3", "power9le"), data/targets.json
#pragma once

#include <span>
#include <string_view>

#include "arch/feature.h"

namespace cpulevel::arch {

struct CpuModel {
    std::string_view name;
    Architecture architecture = Architecture::x86_64;
    std::span<const FeatureId> features;  // closed under needs
};

// By the exact name; null for one that is not known.
[[nodiscard]] const CpuModel* find_cpu_model(Architecture architecture, std::string_view name);
[[nodiscard]] const CpuModel* find_target(std::string_view name);

[[nodiscard]] std::span<const CpuModel> cpu_models();
[[nodiscard]] std::span<const CpuModel> targets();

}  // namespace cpulevel::arch
