// Pools, and what holds a fleet's level down, as text for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/view.h"
#include "fleet/pools.h"
#include "fleet/types.h"
#include "fleet/what_if.h"

namespace cpulevel::cli {

[[nodiscard]] std::string pools_text(const fleet::Pools& pools, const fleet::Fleet& fleet, const View& view);
// What one, two, three ... pools keep.
[[nodiscard]] std::string choices_text(const std::vector<fleet::Pools>& choices, const View& view);
// The types ranked by what leaving them out would give, and how far one would have to go for more.
[[nodiscard]] std::string removals_text(const std::vector<fleet::Removal>& ranked, const std::vector<fleet::Removal>& steps,
                                        const fleet::Fleet& fleet, const View& view);

[[nodiscard]] nlohmann::json pools_json(const fleet::Pools& pools, const fleet::Fleet& fleet);
[[nodiscard]] nlohmann::json removals_json(const std::vector<fleet::Removal>& removals, const fleet::Fleet& fleet);

}  // namespace cpulevel::cli
