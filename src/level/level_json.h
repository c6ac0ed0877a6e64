// The file format of levels, "cpulevel/level/1" (data/schema/level.schema.json). A level decides what programs are
// shown, so a file that contradicts itself is refused: features that are not closed, CPUID or HWCAP bits that the
// feature list has not, OSXSAVE without a layout.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/json_reader.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::level {

inline constexpr std::string_view kLevelSchema = "cpulevel/level/1";
inline constexpr std::string_view kLevelSchemaWithTypes = "cpulevel/level/2";

// Keys sorted, two spaces, a closing newline: the same level is the same bytes.
[[nodiscard]] std::string to_json(const Level& level);
// "cpulevel/level/2", with node types that are JSON already (fleet/kept.h).
[[nodiscard]] std::string to_json(const Level& level, std::string_view types);

// `name` is how messages call the file. Strict: anything unknown, newer, absurd or contradictory is an error that
// names the place.
[[nodiscard]] Result<Level> from_json(std::string_view text, std::string name);
[[nodiscard]] Result<std::unique_ptr<profile::JsonDocument>> parse_level_document(std::string_view text,
                                                                                  std::string name);
[[nodiscard]] Result<Level> read_level(const profile::JsonDocument& document, const profile::JsonValue& root);

// The content of a file that is given as a level: our JSON, or one expression (expression.h). The architecture is for
// the expression; a JSON file says its own.
[[nodiscard]] Result<Level> load_level_text(std::string_view text, std::string name, arch::Architecture architecture,
                                            const profile::XsaveLayout* layout = nullptr);

// What is wrong with a level that contradicts itself; empty if nothing.
[[nodiscard]] std::string contradiction(const Level& level);

}  // namespace cpulevel::level
