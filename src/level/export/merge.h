// An export's variables on top of what a user's environment has already: nothing of the user's is dropped, and nothing
// that the level hides comes back by it. How two values of a variable become one is the variable's own matter.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "level/export/export.h"

namespace cpulevel::level {

struct Merged {
    std::string value;
    std::string note;  // for people: what of the user's had to give way; may be empty
};

// `theirs`: the variable's value in the environment.
[[nodiscard]] Merged merge(const Setting& ours, std::string_view theirs, const Level& level, const ExportOptions& options);

}  // namespace cpulevel::level
