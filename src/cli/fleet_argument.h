// Nodes as commands take them: files, folders, archives, JSON lines, "-", and named levels.
#pragma once

#include <string>
#include <vector>

#include "intake/gather.h"
#include "util/error.h"

namespace cpulevel::cli {

inline constexpr const char* kNodesHelp =
    "Profiles, foreign descriptions, levels, named levels; folders, tar archives and JSON lines of them; - is standard input";

// With `keep_going`, names on standard error what could not be read and goes on; `fault_count` tells. A progress bar is
// drawn where standard error is a terminal and there is time for it.
[[nodiscard]] Result<intake::Gathered> fleet_arguments(const std::vector<std::string>& words, bool keep_going);

// What a result has to say where something could not be read: how much is missing, as far as that is known.
[[nodiscard]] std::vector<std::string> missing_warnings(std::size_t faults, std::size_t cuts);

// A fleet of so few nodes is shown node by node.
inline constexpr std::size_t kMostSingly = 24;

// The nodes that a meet is made of: every node where there are few, else one for each type, named by its label.
[[nodiscard]] std::vector<profile::NodeProfile> nodes_to_meet(const intake::Gathered& gathered);

}  // namespace cpulevel::cli
