#include "profile/import/json_pieces.h"

#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

// From an opening brace to behind its closing one; nothing if it is not closed.
std::size_t length_of_object(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

}  // namespace

std::vector<nlohmann::json> json_objects(std::string_view text) {
    std::vector<nlohmann::json> objects;
    std::size_t unclosed = 0;
    for (;;) {
        const auto start = text.find('{');
        if (start == std::string_view::npos) return objects;
        text.remove_prefix(start);
        const auto length = length_of_object(text);
        if (length == 0) {
            // Not closed: a stray brace on a line of its own kind must not hide what comes on the next ones.
            const auto line_end = text.find('\n');
            if (line_end == std::string_view::npos) return objects;
            text.remove_prefix(line_end);
            if (++unclosed > 64) return objects;  // each try reads on to the end
            continue;
        }
        auto object = nlohmann::json::parse(text.substr(0, length), nullptr, false);
        if (object.is_object()) objects.push_back(std::move(object));
        text.remove_prefix(length);
    }
}

const nlohmann::json* member(const nlohmann::json& value, std::string_view key) {
    if (!value.is_object()) return nullptr;
    const auto at = value.find(key);
    return at == value.end() ? nullptr : &*at;
}

const nlohmann::json* member(const nlohmann::json& value, std::initializer_list<std::string_view> path) {
    const nlohmann::json* at = &value;
    for (const std::string_view key : path) {
        if (at != nullptr) at = member(*at, key);
    }
    return at;
}

std::string text_member(const nlohmann::json& value, std::initializer_list<std::string_view> path) {
    const auto* at = member(value, path);
    return at != nullptr && at->is_string() ? printable(at->get_ref<const std::string&>()) : std::string{};
}

bool is_ours(std::string_view text) {
    return text.find("\"cpulevel/profile/") != std::string_view::npos ||
           text.find("\"cpulevel/level/") != std::string_view::npos;
}

}  // namespace cpulevel::profile::import
