#include "intake/documents.h"

#include <algorithm>

#include "intake/containers.h"
#include "level/level_json.h"
#include "level/meet.h"
#include "profile/import.h"
#include "util/text.h"

namespace cpulevel::intake {
namespace {

void read_one(std::string_view text, const std::string& name, Described& described) {
    // The schema's name may also stand in a string of another document: what it is not, the reader of levels says.
    if (trim(text.substr(0, 4096)).starts_with('{') && text.find("\"cpulevel/level/") != std::string_view::npos &&
        text.find("\"cpulevel/profile/") == std::string_view::npos) {
        if (const auto level = level::from_json(text, name)) {
            described.nodes.push_back(level::as_node(*level));
        } else {
            described.faults.push_back(level.error());
        }
        return;
    }
    auto each = profile::import_each(text, name);
    if (!each) return described.faults.push_back(each.error());
    for (Result<profile::NodeProfile>& node : *each) {
        if (node) {
            described.nodes.push_back(*std::move(node));
        } else {
            described.faults.push_back(node.error());
        }
    }
}

}  // namespace

Described nodes_of(std::string_view text, const std::string& name) {
    Described described;
    const auto contained = unpack(text, name);
    if (!contained) {
        read_one(text, name, described);
    } else if (!*contained) {
        described.faults.push_back(contained->error());
    } else {
        described.cut = (*contained)->cut;
        for (const Result<Contained>& one : (*contained)->entries) {
            if (one) {
                read_one(one->text, name + ": " + one->name, described);
            } else {
                described.faults.push_back(one.error());
            }
        }
    }
    return described;
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
