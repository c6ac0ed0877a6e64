// Files of lines "Name:<tab>words", as /proc/PID/status is one (proc(5)).
#pragma once

#include <string_view>

namespace cpulevel {

// What stands behind "name:", without the blanks around it; empty where there is no such line.
[[nodiscard]] std::string_view status_field(std::string_view text, std::string_view name);

// The first and the last word of it; empty where it is.
[[nodiscard]] std::string_view first_word(std::string_view field);
[[nodiscard]] std::string_view last_word(std::string_view field);

}  // namespace cpulevel
