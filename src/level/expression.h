// Levels on the command line: "x86-64-v2", "x86-64-v2+aes-popcnt". A named level, then features to add (+) and to
// remove (-). Adding a feature adds what it needs, removing one removes what needs it; the level's warnings say so.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::level {

// Names may contain '-' themselves: the longest name that the table knows is taken. `layout`: see named.h.
[[nodiscard]] Result<Level> parse_level(std::string_view expression, arch::Architecture architecture,
                                        const profile::XsaveLayout* layout = nullptr);

// What a user gave where a level is taken: the content of the file of that name, if there is one (our JSON, or an
// expression in a file), else the word itself as an expression.
[[nodiscard]] Result<Level> resolve_level(std::string_view word, const std::optional<std::string>& file_content,
                                          arch::Architecture architecture,
                                          const profile::XsaveLayout* layout = nullptr);

}  // namespace cpulevel::level
