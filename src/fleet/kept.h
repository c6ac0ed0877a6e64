// A level's file that keeps the types of the nodes that it was made of, so that it can be brought up to date when nodes
// come and go, without the descriptions of all others: "cpulevel/level/2" (data/schema/level.schema.json), which is
// "cpulevel/level/1" with "types".
#pragma once

#include <string>
#include <string_view>

#include "fleet/types.h"
#include "level/level.h"
#include "util/error.h"

namespace cpulevel::fleet {

inline constexpr std::size_t kMostKept = 1000;  // types in a file

// The file. What is each node's own (kernel, hypervisor, notes, LIVE fields of CPUID) is left out of the types: the same
// fleet is the same bytes, whichever of its nodes was read first. Errors: more types than fit.
[[nodiscard]] Result<std::string> with_types(const level::Level& level, const Fleet& fleet);

// The fleet of such a file, which is read strictly. Errors: a level that keeps none.
[[nodiscard]] Result<Fleet> kept_fleet(std::string_view text, const std::string& name);

}  // namespace cpulevel::fleet
