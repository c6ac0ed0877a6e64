// Our files as the commands take them: recognised by their schema, whatever they are called.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::cli {

using Document = std::variant<profile::NodeProfile, level::Level>;

// "-" is standard input. A foreign description of one machine is taken as `cpulevel import` would.
[[nodiscard]] Result<Document> read_document(const std::string& path);
[[nodiscard]] Result<Document> parse_document(const std::string& text, const std::string& path);

[[nodiscard]] std::string json_text(const profile::NodeProfile& node);
[[nodiscard]] std::string json_text(const level::Level& level);

// "did you mean X or Y?"; empty where nothing is near.
[[nodiscard]] std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace cpulevel::cli
