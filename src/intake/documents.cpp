#include "intake/documents.h"

#include <algorithm>

#include "intake/containers.h"
#include "level/level_json.h"
#include "level/meet.h"
#include "profile/import.h"
#include "util/text.h"

namespace cpulevel::intake {
namespace {

using Nodes = std::vector<profile::NodeProfile>;

Result<Nodes> read_one(std::string_view text, const std::string& name) {
    // The schema's name may also stand in a string of another document: what it is not, the reader of levels says.
    if (trim(text.substr(0, 4096)).starts_with('{') && text.find("\"cpulevel/level/") != std::string_view::npos &&
        text.find("\"cpulevel/profile/") == std::string_view::npos) {
        const auto level = level::from_json(text, name);
        if (!level) return std::unexpected(level.error());
        return Nodes{level::as_node(*level)};
    }
    return profile::import_text(text, name);
}

}  // namespace

Result<Nodes> nodes_of(std::string_view text, const std::string& name) {
    const auto contained = unpack(text, name);
    if (!contained) return read_one(text, name);
    if (!*contained) return std::unexpected(contained->error());
    Nodes nodes;
    for (const Contained& one : **contained) {
        auto more = read_one(one.text, name + ": " + one.name);
        if (!more) return std::unexpected(more.error());
        std::ranges::move(*more, std::back_inserter(nodes));
    }
    return nodes;
}

bool looks_like_json_lines(std::string_view first) {
    while (!first.empty() && (first.front() == '\n' || first.front() == '\r')) first.remove_prefix(1);
    if (!first.starts_with('{')) return false;
    const auto end = first.find('\n');
    if (end == std::string_view::npos) return false;
    const std::string_view line = trim(first.substr(0, end));
    if (!line.ends_with('}')) return false;
    // A session with QEMU is one document, although each answer is a line.
    if (line.starts_with("{\"QMP\"") || line.starts_with("{\"return\"")) return false;
    // A whole object, not "{}" by chance in a longer one: the braces outside of strings are even.
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < line.size(); ++at) {
        if (in_string) {
            if (line[at] == '\\')
                ++at;
            else if (line[at] == '"')
                in_string = false;
        } else if (line[at] == '"') {
            in_string = true;
        } else if (line[at] == '{') {
            ++depth;
        } else if (line[at] == '}') {
            if (depth == 0) return false;
            --depth;
        }
    }
    return depth == 0 && !in_string && trim(first.substr(end)).starts_with('{');
}

}  // namespace cpulevel::intake
