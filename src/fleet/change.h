// A fleet with some nodes more or less.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "arch/feature.h"
#include "fleet/types.h"
#include "level/meet.h"
#include "util/error.h"

namespace cpulevel::fleet {

// Takes nodes out by name: one name, several, or ranges (util/name_ranges.h). A name that no node has is an error, and
// changes nothing. Types without nodes go.
[[nodiscard]] Result<void> remove_nodes(Fleet& fleet, std::string_view names);

// The same, but types without nodes stay, with a count of 0.
[[nodiscard]] Result<void> take_out(Fleet& fleet, std::string_view names);

// The features of the level of all; nothing where they cannot share one.
[[nodiscard]] std::optional<arch::FeatureSet> level_features(const Fleet& fleet, const level::MeetOptions& options);

}  // namespace cpulevel::fleet
