// The node labels that the exporters for Kubernetes write and ask for.
#pragma once

#include <string>

#include "level/level.h"

namespace cpulevel::level {

// "cpulevel-level.NAME": says that a node can hold the level. What a label cannot have in it becomes '_' or is cut off.
[[nodiscard]] std::string level_label(const Level& level);

}  // namespace cpulevel::level
