// What may stand in a string of JSON: UTF-8, and escapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cpulevel {

// The length of the UTF-8 sequence that the text begins with; 0 where it is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

struct JsonEscape {
    std::uint32_t code = 0;  // the character
    std::size_t length = 0;  // bytes; 0: no escape, or half of a surrogate pair
};
// The escape that the text begins with, from its backslash.
[[nodiscard]] JsonEscape json_escape_at(std::string_view text);

// A string's content, which is valid, without its escapes.
[[nodiscard]] std::string json_unescaped(std::string_view content);

}  // namespace cpulevel
