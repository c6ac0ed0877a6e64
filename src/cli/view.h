// Profiles, levels and losses as text for people. Pure: the same values give the same text at the same width.
// Whatever came out of a file is made safe for a terminal first (util/text.h printable).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "cli/style.h"
#include "cli/table.h"
#include "level/level.h"
#include "level/meet.h"
#include "profile/node_profile.h"

namespace cpulevel::cli {

struct View {
    Style style;
    std::size_t width = 80;
    bool all = false;  // also what only a kernel can use, and every feature on a line of its own
    [[nodiscard]] static View of_standard_output(bool all);
};

[[nodiscard]] std::string describe(const profile::NodeProfile& node, const View& view);
[[nodiscard]] std::string describe(const level::Level& level, const View& view);

// The parts that they are made of.
[[nodiscard]] std::string heading(const View& view, std::string_view text);
// "  GROUP  name name ..." for what programs can use; what only a kernel can use is counted, or shown with view.all.
[[nodiscard]] std::string features_by_group(const arch::FeatureTable& table, const arch::FeatureSet& set,
                                            const View& view);
// "Features (24)": as many as features_by_group names.
[[nodiscard]] std::string features_heading(const arch::FeatureTable& table, const arch::FeatureSet& set,
                                           const View& view);
// "  - note", wrapped.
[[nodiscard]] std::string bullets(std::span<const std::string> notes, const View& view);
// The largest standard level that the set contains: "x86-64-v3"; none if it has not even the smallest.
[[nodiscard]] std::optional<std::string_view> best_named_level(const arch::FeatureTable& table,
                                                               const arch::FeatureSet& set);
// What is reached of the standard levels, in words: "x86-64-v3", "x86-64 at least", "not known", "below every named level",
// "no named levels for riscv64"; and for tables: "x86-64-v3", "?", "-". `known`: the features that are told of.
[[nodiscard]] std::string reached_text(const arch::FeatureTable& table, const arch::FeatureSet& set,
                                       const arch::FeatureSet& known);
[[nodiscard]] std::string reached_cell(const arch::FeatureTable& table, const arch::FeatureSet& set,
                                       const arch::FeatureSet& known);
// The same among levels that are named after a product: "haswell".
[[nodiscard]] std::optional<std::string_view> best_product_level(const arch::FeatureTable& table,
                                                                 const arch::FeatureSet& set);
[[nodiscard]] std::vector<std::string> feature_names(const arch::FeatureTable& table, const arch::FeatureSet& set);
[[nodiscard]] arch::FeatureSet user_features(const arch::FeatureTable& table, const arch::FeatureSet& set);
[[nodiscard]] std::string byte_count(std::uint64_t bytes);            // "2,696 bytes"
[[nodiscard]] std::string component_names(std::uint64_t components);  // "x87 SSE AVX opmask"; unknown ones by number
[[nodiscard]] std::string safe(std::string_view text);
// "1 feature", "3 features"
[[nodiscard]] std::string plural(std::size_t count, std::string_view noun);
[[nodiscard]] std::string plural(std::size_t count, std::string_view one, std::string_view several);

}  // namespace cpulevel::cli
