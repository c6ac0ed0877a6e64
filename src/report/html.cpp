#include "report/html.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

namespace cpulevel::report {

namespace {

struct Character {
    char32_t value = 0;
    std::size_t bytes = 0;
};

// The character that begins at `at`; nothing where the bytes are not UTF-8 (RFC 3629: shortest form, no surrogates).
std::optional<Character> decode(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return Character{lead, 1};
    std::size_t bytes = 0;
    char32_t value = 0;
    char32_t smallest = 0;
    if ((lead & 0xE0U) == 0xC0U) {
        bytes = 2, value = lead & 0x1FU, smallest = 0x80;
    } else if ((lead & 0xF0U) == 0xE0U) {
        bytes = 3, value = lead & 0x0FU, smallest = 0x800;
    } else if ((lead & 0xF8U) == 0xF0U) {
        bytes = 4, value = lead & 0x07U, smallest = 0x10000;
    } else {
        return std::nullopt;
    }
    if (at + bytes > text.size()) return std::nullopt;
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return std::nullopt;
        value = value << 6U | (byte(i) & 0x3FU);
    }
    if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return std::nullopt;
    return Character{value, bytes};
}

// Unicode general categories Cc, Cf, Zl, Zp, Co, noncharacters and the blank letters: they have no shape of their own,
// or change how their neighbours are shown (UAX #9 bidirectional controls). Not a complete list of Cf, but every block
// that holds one.
bool shapeless(char32_t c) {
    struct Range {
        char32_t first, last;
    };
    constexpr Range ranges[] = {
        {0x00, 0x1F},       {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},       {0x600, 0x605},
        {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x115F, 0x1160},     {0x17B4, 0x17B5},
        {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},     {0x2800, 0x2800},
        {0x3164, 0x3164},   {0xE000, 0xF8FF},   {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0F},     {0xFEFF, 0xFEFF},
        {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD}, {0x1BCA0, 0x1BCA3},   {0x1D173, 0x1D17A},
        {0xE0000, 0xE0FFF}, {0xF0000, 0x10FFFF}};
    if ((c & 0xFFFEU) == 0xFFFEU) return true;
    for (const Range& range : ranges) {
        if (c >= range.first && c <= range.last) return true;
    }
    return false;
}

// Marks that are drawn over the letter before them (combining blocks). A few are a language; a pile is an attack on the
// lines above and below.
bool combining(char32_t c) {
    return (c >= 0x300 && c <= 0x36F) || (c >= 0x483 && c <= 0x489) || (c >= 0x1AB0 && c <= 0x1AFF) ||
           (c >= 0x1DC0 && c <= 0x1DFF) || (c >= 0x20D0 && c <= 0x20FF) || (c >= 0xFE20 && c <= 0xFE2F);
}
constexpr std::size_t kMarksInARow = 3;

std::size_t characters(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
        const auto character = decode(text, at);
        at += character ? character->bytes : 1;
    }
    return count;
}

}  // namespace

std::string visible(std::string_view text, std::size_t most) {
    std::string result;
    std::size_t count = 0;
    std::size_t marks = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
        if (count == most) {
            result += fmt::format("\u2026 (and {} more characters)", characters(text.substr(at)));
            break;
        }
        const auto character = decode(text, at);
        if (!character) {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
            ++at;
            continue;
        }
        marks = combining(character->value) ? marks + 1 : 0;
        if (shapeless(character->value) || marks > kMarksInARow) {
            result += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(character->value));
        } else {
            result += text.substr(at, character->bytes);
        }
        at += character->bytes;
    }
    return result;
}

std::string escape(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&': result += "&amp;"; break;
            case '<': result += "&lt;"; break;
            case '>': result += "&gt;"; break;
            case '"': result += "&quot;"; break;
            case '\'': result += "&#39;"; break;
            default: result += c;
        }
    }
    return result;
}

std::string text(std::string_view text, std::size_t most) { return escape(visible(text, most)); }

std::string inside_script(std::string_view json) {
    std::string result;
    result.reserve(json.size());
    for (const char c : json) {
        switch (c) {
            case '<': result += "\\u003c"; break;
            case '>': result += "\\u003e"; break;
            case '&': result += "\\u0026"; break;
            default: result += c;
        }
    }
    return result;
}

}  // namespace cpulevel::report
