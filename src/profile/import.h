// Foreign descriptions of machines as NodeProfiles. A source that does not tell something leaves it out of `known`
// (or absent), and says so in the notes: unknown is a value of its own, never "no".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::profile {

// Recognises the format by its content, or takes it as `from` says (a name of import_formats()). `name` is how
// messages and the profile call the source. More than one node comes from formats that describe many (a Kubernetes list).
[[nodiscard]] Result<std::vector<NodeProfile>> import_text(std::string_view text, std::string name,
                                                           std::optional<std::string> from = std::nullopt);

// The same with the format recognised, each node for itself where a file may have good ones beside a bad one. Error: the
// file as a whole cannot be read.
[[nodiscard]] Result<std::vector<Result<NodeProfile>>> import_each(std::string_view text, const std::string& name);

struct ImportFormat {
    std::string_view name;   // as `from` takes it
    std::string_view title;  // for people
};
[[nodiscard]] std::vector<ImportFormat> import_formats();

// Reads and imports one file ("-": standard input); a file that describes several nodes is an error.
[[nodiscard]] Result<NodeProfile> load_profile(const std::string& path);

}  // namespace cpulevel::profile
