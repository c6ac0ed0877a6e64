#include "util/json_string.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace cpulevel {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
    const auto put = [&](std::uint32_t value) { text += static_cast<char>(value); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0U | code >> 6U);
        put(0x80U | (code & 0x3fU));
    } else if (code < 0x10000) {
        put(0xe0U | code >> 12U);
        put(0x80U | (code >> 6U & 0x3fU));
        put(0x80U | (code & 0x3fU));
    } else {
        put(0xf0U | code >> 18U);
        put(0x80U | (code >> 12U & 0x3fU));
        put(0x80U | (code >> 6U & 0x3fU));
        put(0x80U | (code & 0x3fU));
    }
}

// Four hexadecimal digits.
std::optional<std::uint32_t> code_unit(std::string_view digits) {
    std::uint32_t value = 0;
    if (digits.size() < 4) return std::nullopt;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 4, value, 16);
    return error == std::errc{} && end == digits.data() + 4 ? std::optional(value) : std::nullopt;
}

}  // namespace

// Unicode 15, table 3-7.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const auto follows = [&](std::size_t at) { return (byte(at) & 0xc0U) == 0x80U; };
    const unsigned first = byte(0), second = byte(1);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        if (first == 0xe0 && second < 0xa0) return 0;
        if (first == 0xed && second > 0x9f) return 0;  // surrogates
        return follows(1) && follows(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        if (first == 0xf0 && second < 0x90) return 0;
        if (first == 0xf4 && second > 0x8f) return 0;
        return follows(1) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

JsonEscape json_escape_at(std::string_view text) {
    constexpr std::string_view kShort = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    if (text.size() < 2) return {};
    if (const auto at = kShort.find(text[1]); at != std::string_view::npos)
        return {static_cast<unsigned char>(kMeant[at]), 2};
    if (text[1] != 'u') return {};
    const auto first = code_unit(text.substr(2));
    if (!first || (*first >= 0xdc00 && *first <= 0xdfff)) return {};
    if (*first < 0xd800 || *first > 0xdbff) return {*first, 6};
    if (!text.substr(6).starts_with("\\u")) return {};
    const auto second = code_unit(text.substr(8));
    if (!second || *second < 0xdc00 || *second > 0xdfff) return {};
    return {0x10000 + ((*first - 0xd800) << 10U) + (*second - 0xdc00), 12};
}

std::string json_unescaped(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const auto plain = std::min(text.find('\\'), text.size());
        result += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        const JsonEscape escape = json_escape_at(text);
        append_utf8(result, escape.code);
        text.remove_prefix(std::max<std::size_t>(escape.length, 1));
    }
    return result;
}

}  // namespace cpulevel
