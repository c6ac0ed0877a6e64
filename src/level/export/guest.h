// What the exporters of virtual CPUs share.
#pragma once

#include <string_view>

#include "level/export/tool_view.h"

namespace cpulevel::level {

// Of models with fixed features, the best that shows nothing hidden; refused, naming the nearest, where there is none.
[[nodiscard]] Result<const ToolEntry*> fixed_model(const ToolView& view, std::string_view tool);

}  // namespace cpulevel::level
