// Whose descriptions leave what open, and what would settle it: for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "cli/view.h"
#include "level/collect.h"

namespace cpulevel::cli {

// Empty where everything is told.
[[nodiscard]] std::string collect_text(std::span<const level::ToCollect> list, const arch::FeatureTable& table,
                                       const View& view);
[[nodiscard]] nlohmann::json collect_json(std::span<const level::ToCollect> list, const arch::FeatureTable& table);

}  // namespace cpulevel::cli
