// What users give where a level or a node is taken. A level: a file (level, or profile: the level of that one node), a
// named level, or an expression such as x86-64-v2+aes-popcnt. A node: the same, seen as a machine that offers exactly
// that.
#pragma once

#include <string>

#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::cli {

// `here`: where a machine is at hand (run), levels without nodes take the places of XSAVE components from it.
[[nodiscard]] Result<level::Level> level_argument(const std::string& word, const profile::NodeProfile* here = nullptr);

// The same, for programs of this machine: refused where it shows what the machine lacks, as a program would execute that.
[[nodiscard]] Result<level::Level> level_to_give(const std::string& word, const profile::NodeProfile& here);

[[nodiscard]] Result<profile::NodeProfile> node_argument(const std::string& word);

// The text for the --help of an option that takes a level.
inline constexpr const char* kLevelHelp =
    "A level or profile file, or a name such as x86-64-v3 or x86-64-v2+aes-popcnt";

}  // namespace cpulevel::cli
