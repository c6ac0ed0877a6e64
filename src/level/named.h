// Named levels: x86-64 to x86-64-v4 (psABI), armv8.0-a and on. A named level has no nodes behind it, so what it must
// provide for (XSAVE area, signal stack) is the largest of any CPU known in data/, and it says so in its warnings.
// What each contains beyond the letter of the psABI: docs/decisions/003-levels.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::level {

// The features of a named level, with those that every machine of the architecture has.
[[nodiscard]] arch::FeatureSet features_of(const arch::FeatureTable& table, const arch::NamedLevel& named);

// The levels of a standard (psABI, Arm architecture versions), steps of a ladder; the others name one product. Each set of
// features once, in the order of the data.
[[nodiscard]] std::vector<const arch::NamedLevel*> standard_levels(const arch::FeatureTable& table);
// The lowest of them, without which no program of a Linux distribution starts; null where the architecture has none.
[[nodiscard]] const arch::NamedLevel* lowest_standard_level(const arch::FeatureTable& table);
// What is reached of the standard levels where not everything is told of: `known` holds the features that are.
enum class Reach : std::uint8_t {
    exactly,   // the level, and no higher one
    at_least,  // the level; what is not told could make it a higher one
    unknown,   // no level so far; what is not told could make it one
    below,     // less than the lowest level
    no_levels, // the architecture has none
};
struct Reached {
    Reach reach = Reach::below;
    std::string_view level{};  // where there is one
};
[[nodiscard]] Reached reached_level(const arch::FeatureTable& table, const arch::FeatureSet& set,
                                    const arch::FeatureSet& known);
// The largest standard level, or the largest product's, that the set contains; none if it has not even the smallest.
[[nodiscard]] std::optional<std::string_view> best_standard_level(const arch::FeatureTable& table,
                                                                  const arch::FeatureSet& set);
[[nodiscard]] std::optional<std::string_view> best_product_level(const arch::FeatureTable& table,
                                                                 const arch::FeatureSet& set);

// The level of a set of features without nodes. `asked` are features that the user turned on by name (NEVER features
// among them are shown): an error names those that cannot be shown. `layout`: where a machine is at hand, the places
// of its XSAVE components; without one, Intel's.
[[nodiscard]] Result<Level> level_of(const arch::FeatureTable& table, std::string name, const arch::FeatureSet& features,
                                     const arch::FeatureSet& asked, const profile::XsaveLayout* layout = nullptr);

}  // namespace cpulevel::level
