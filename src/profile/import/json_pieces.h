// JSON of other tools.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

namespace cpulevel::profile::import {

// The JSON objects in a text that may hold other things between them (a transcript of a QMP shell). What does not
// parse is passed over.
[[nodiscard]] std::vector<nlohmann::json> json_objects(std::string_view text);

// A member of an object, or null.
[[nodiscard]] const nlohmann::json* member(const nlohmann::json& value, std::string_view key);
// The same by a path: {"metadata", "name"}.
[[nodiscard]] const nlohmann::json* member(const nlohmann::json& value, std::initializer_list<std::string_view> path);
// A string member, made safe for a terminal; empty if there is none.
[[nodiscard]] std::string text_member(const nlohmann::json& value, std::initializer_list<std::string_view> path);

// Whether this is one of our own files, which the strict reader reads.
[[nodiscard]] bool is_ours(std::string_view text);

}  // namespace cpulevel::profile::import
