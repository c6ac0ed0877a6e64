// CRIU's log as a person wants it: the line that says why, without its ornaments, and what to do about it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::checkpoint {

struct Explained {
    std::string line;    // what CRIU says, without time and place in its source; empty: its log says no error
    std::string advice;  // may be empty
};

// The first error of the log is the cause, those behind it its consequences; a line with an advice goes before one
// without.
[[nodiscard]] Explained explain(std::string_view log);

// What `cpulevel` itself said in the log, as an action script: its lines, "cpulevel: " taken off.
[[nodiscard]] std::vector<std::string> own_lines(std::string_view log);

}  // namespace cpulevel::checkpoint
