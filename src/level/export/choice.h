// A variable that takes one word of a list, best first: OPENBLAS_CORETYPE and its like.
#pragma once

#include <string>
#include <string_view>

#include "level/export/tool_view.h"

namespace cpulevel::level {

// The best word of the list that uses nothing hidden. `note`: for people; may be empty.
[[nodiscard]] Result<Export> export_choice(std::string_view tool, std::string variable, std::string note, const Level& level,
                                           const ExportOptions& options);

}  // namespace cpulevel::level
