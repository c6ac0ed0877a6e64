// What the JSON of profiles and of levels has in common, read and written.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "arch/cpuid_dump.h"
#include "arch/feature.h"
#include "profile/json_reader.h"

namespace cpulevel::profile {

inline constexpr std::uint64_t kWord64 = ~std::uint64_t{0};

[[nodiscard]] std::uint32_t word32(const JsonValue& value);                        // a string "0x..."
[[nodiscard]] std::uint32_t small(const JsonValue& value, std::uint64_t largest);  // a number

struct SchemaFamily {
    std::string_view family;  // "cpulevel/profile/"
    unsigned newest;          // the last version that this program reads; all before it are read too
    std::string_view what;    // "profile"
    std::string_view other;   // the family that it is mistaken for, and what to do about that
    std::string_view other_hint;
};
// The version; nothing, with a complaint, for what this program does not read.
[[nodiscard]] std::optional<unsigned> read_schema(const JsonValue& root, const SchemaFamily& family);

[[nodiscard]] std::optional<arch::Architecture> read_architecture(const JsonValue& root);
// Canonical names only, each once.
[[nodiscard]] arch::FeatureSet read_feature_names(const JsonValue& list, const arch::FeatureTable& table);

using Hwcaps = std::array<std::optional<std::uint64_t>, 4>;
[[nodiscard]] Hwcaps read_hwcap(const JsonValue& value, const arch::FeatureTable& table);
[[nodiscard]] nlohmann::json hwcap_json(const Hwcaps& words, const arch::FeatureTable& table);

[[nodiscard]] arch::CpuidDump read_cpuid(const JsonValue& list);
[[nodiscard]] nlohmann::json cpuid_json(const arch::CpuidDump& dump);

[[nodiscard]] std::string hex32(std::uint32_t value);  // eight digits
[[nodiscard]] std::string hex64(std::uint64_t value);  // as few as it takes

}  // namespace cpulevel::profile
