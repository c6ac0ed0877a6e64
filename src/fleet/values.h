// What features are worth, as users write it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "fleet/pools.h"
#include "util/error.h"

namespace cpulevel::fleet {

// By name or alias; the error suggests the nearest.
[[nodiscard]] Result<arch::FeatureId> find_feature(const arch::FeatureTable& table, std::string_view name);

// `text`: a JSON object {"avx512f": 10, "others": 1} of whole numbers, or empty; "others" is for the features that
// programs can use and that it does not name. `words`: "NAME=N", which count more. `name` is how messages call the text.
[[nodiscard]] Result<FeatureValues> read_values(const arch::FeatureTable& table, std::string_view text,
                                                const std::string& name, const std::vector<std::string>& words);

}  // namespace cpulevel::fleet
