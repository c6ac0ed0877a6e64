// Many names as few texts: "node[0-31,33]", "rack[01-12]-a", as Slurm, pdsh and ClusterShell write host lists. One
// bracket a text; numbers keep their width. A name that has a bracket, comma or percent sign of its own is written with
// these as %5B, %5D, %2C, %25.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel {

// Sorted; the same names in any order give the same texts. A name that is there twice is there once.
[[nodiscard]] std::vector<std::string> to_ranges(std::vector<std::string> names);

// One text, or several that are separated by commas outside of brackets. More than `most` names is an error.
[[nodiscard]] Result<std::vector<std::string>> from_ranges(std::string_view text, std::size_t most);

// The same without making the names: how many there are, and whether a name is among them. A hundred thousand names are
// looked through in a millisecond or two.
[[nodiscard]] Result<std::size_t> count_in_ranges(std::string_view text, std::size_t most);
[[nodiscard]] bool is_in_ranges(std::string_view text, std::string_view name);

}  // namespace cpulevel
