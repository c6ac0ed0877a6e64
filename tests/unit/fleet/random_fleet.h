// Random machines and fleets for the tests of this folder.
#pragma once

#include <random>
#include <string>

#include "fleet/types.h"
#include "samples.h"

namespace cpulevel::fleet::test {

using level::test::id;
using level::test::x86;

// Of each vendor's layouts one, with any of the optional components switched on; some features are not told.
inline profile::NodeProfile random_node(std::mt19937& random, std::string name, unsigned long having = 70) {
    const auto chance = [&](unsigned long percent) { return random() % 100 < percent; };
    const bool amd = chance(40);
    profile::NodeProfile machine = level::test::node({.name = std::move(name)});
    for (std::size_t index = 0; index < x86().features().size(); ++index) {
        const arch::FeatureId feature{static_cast<std::uint16_t>(index)};
        if (chance(having)) machine.features.insert(feature);
        if (chance(3)) machine.features.erase(feature);
        if (chance(2)) machine.known.erase(feature);
    }
    for (const char* base : {"xsave", "osxsave", "avx", "sse", "sse2", "fxsr"}) {
        if (chance(90)) machine.features.insert(id(base));
    }
    machine.features &= machine.known;
    if (chance(5)) machine.features = {};
    if (machine.features.contains(id("osxsave")) && chance(85)) {
        machine.xsave = amd ? level::test::amd_layout(level::test::kAvx512Pku)
                            : level::test::intel_layout(chance(50) ? level::test::kAvx512Pku : level::test::kAvx512);
        if (chance(10)) machine.xsave->compacted_size = 0;
        if (chance(10)) machine.xsave->components[5].size = 128;
    }
    level::test::refresh(machine);
    return machine;
}

inline Fleet random_fleet(std::mt19937& random, std::size_t types, unsigned long having = 70) {
    FleetBuilder builder;
    for (std::size_t i = 0; i < types; ++i) {
        const std::string name = "node" + std::to_string(i);
        builder.add(random_node(random, name, having), 1 + random() % 50, {name});
    }
    return builder.take();
}

}  // namespace cpulevel::fleet::test
