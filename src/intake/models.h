// The profiles of data/profiles, which are in the executable: CPUs to try "what if" with where no such node is at hand.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profile/node_profile.h"

namespace cpulevel::intake {

[[nodiscard]] std::vector<std::string> model_names();
[[nodiscard]] std::optional<profile::NodeProfile> find_model(std::string_view name);

}  // namespace cpulevel::intake
