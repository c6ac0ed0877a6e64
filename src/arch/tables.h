// The generated tables, one an architecture; only this room's sources use them directly (others: arch::table()).
#pragma once

#include <span>

#include "arch/cpu_model.h"
#include "arch/feature.h"

namespace cpulevel::arch::generated {

extern const FeatureTable x86_64;
extern const FeatureTable aarch64;
extern const FeatureTable riscv64;
extern const FeatureTable ppc64le;
extern const FeatureTable s390x;
extern const FeatureTable loongarch64;

extern const KnownMaxima maxima;

extern const std::span<const CpuModel> models;   // data/cpu_models.json
extern const std::span<const CpuModel> targets;  // data/targets.json

}  // namespace cpulevel::arch::generated
