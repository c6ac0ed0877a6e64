// Whose descriptions leave what open, and what would settle it: for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/view.h"
#include "level/meet.h"

namespace cpulevel::cli {

// Empty where everything is told.
[[nodiscard]] std::string collect_text(const level::Meet& meet, const View& view);
[[nodiscard]] nlohmann::json collect_json(const level::Meet& meet);

}  // namespace cpulevel::cli
