// What a command writes must not be among what it reads: a level in a folder of nodes would be taken for a node the next
// time, and hold the level down without a word.
#pragma once

#include <string>
#include <vector>

#include "util/error.h"

namespace cpulevel::cli {

// Whether the file is one of the inputs, or lies in a folder that is one (files whose names begin with a dot are not read
// there), by device and inode, whatever they are called. `output` may not exist yet; empty and "-" are no files.
[[nodiscard]] Result<void> check_not_an_input(const std::string& output, const std::vector<std::string>& inputs);
// Two outputs that would go to one file.
[[nodiscard]] Result<void> check_apart(const std::string& a, const std::string& b);

}  // namespace cpulevel::cli
