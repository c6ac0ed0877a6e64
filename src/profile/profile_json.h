// The file format of node profiles, "cpulevel/profile/1" (data/schema/profile.schema.json).
//
// Raw values (CPUID registers, HWCAP words, XCR0) are hex strings, with names beside them where bits have names. The
// raw values are what counts: a later version that knows more names finds them in old files. So "known" lists the
// features of which the file speaks; a feature that the raw values show and the file does not know is added in
// reading, one that contradicts them is refused.
#pragma once

#include <string>
#include <string_view>

#include "profile/json_reader.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::profile {

inline constexpr std::string_view kProfileSchema = "cpulevel/profile/1";

// Keys sorted, two spaces, a closing newline: the same profile is the same bytes.
[[nodiscard]] std::string to_json(const NodeProfile& profile);

// `name` is how messages call the file. Strict: anything unknown, newer, absurd or contradictory is an error that
// names the place.
[[nodiscard]] Result<NodeProfile> from_json(std::string_view text, std::string name);
// One that stands in another document.
[[nodiscard]] Result<NodeProfile> read_profile(const JsonDocument& document, const JsonValue& root);

}  // namespace cpulevel::profile
