// Feature sets as text: sorted canonical names, for messages and for JSON.
#pragma once

#include <string>
#include <vector>

#include "arch/feature.h"

namespace cpulevel::level {

[[nodiscard]] std::vector<std::string> feature_names(const arch::FeatureTable& table, const arch::FeatureSet& set);
// "a, b, c and 12 more"
[[nodiscard]] std::string name_some(const arch::FeatureTable& table, const arch::FeatureSet& set, std::size_t most = 8);
[[nodiscard]] std::string name_some(std::vector<std::string> names, std::size_t most = 8);
// The named features of the table; names that it has not are left out.
[[nodiscard]] arch::FeatureSet named_features(const arch::FeatureTable& table,
                                              std::initializer_list<std::string_view> names);
[[nodiscard]] bool contains(const arch::FeatureTable& table, const arch::FeatureSet& set, std::string_view name);

}  // namespace cpulevel::level
