// Feature names as other tools spell them.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "arch/feature.h"

namespace cpulevel::profile::import {

// A name that the tables of data/ do not have, or that means something else there, and the feature that is meant.
using Synonym = std::pair<std::string_view, std::string_view>;

// The synonyms first; then by name or alias; then without regard to '_', which tools put as they like (avx512vnni,
// AVX512VNNI, avx512_vnni).
[[nodiscard]] std::optional<arch::FeatureId> find_feature(const arch::FeatureTable& table, std::string_view name,
                                                          std::span<const Synonym> synonyms = {});

// x86: the features of CPUID words of which Linux, and gVisor after it, names every bit that was ever defined. So for
// these a missing name means "no": leaf 1 ECX and EDX, leaf 7 EBX, leaf 0x80000001 ECX and EDX, leaf 0xD.1 EAX.
[[nodiscard]] arch::FeatureSet printed_in_full(const arch::FeatureTable& table);

}  // namespace cpulevel::profile::import
