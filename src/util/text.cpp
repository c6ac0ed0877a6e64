#include "util/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

namespace cpulevel {

std::string_view trim(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n\f\v";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
}

namespace {

std::optional<std::uint64_t> parse(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool has_hex_prefix(std::string_view text) {
    return text.starts_with("0x") || text.starts_with("0X");
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row[b.size()];
}

}  // namespace

std::optional<std::uint64_t> parse_hex(std::string_view text) {
    if (has_hex_prefix(text)) text.remove_prefix(2);
    return parse(text, 16);
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) { return parse(text, 10); }

std::optional<std::uint64_t> parse_number(std::string_view text) {
    return has_hex_prefix(text) ? parse_hex(text) : parse_decimal(text);
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
    return fmt::format("{}", fmt::join(parts.begin(), parts.end(), separator));
}

std::vector<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates,
                                      std::size_t most) {
    if (word.size() > 64) return {};
    std::vector<std::pair<std::size_t, std::string_view>> ranked;
    const std::size_t limit = std::max<std::size_t>(1, word.size() / 3);
    for (const std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(lower(word), lower(candidate));
        if (distance <= limit) ranked.emplace_back(distance, candidate);
    }
    std::ranges::sort(ranked);
    std::vector<std::string_view> result;
    for (const auto& [distance, candidate] : ranked) {
        if (result.size() == most) break;
        if (std::ranges::find(result, candidate) == result.end()) result.push_back(candidate);
    }
    return result;
}

std::string without_controls(std::string_view text, bool keep_newlines) {
    std::string result;
    const auto escape = [&](unsigned char byte) { result += fmt::format("\\x{:02x}", byte); };
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const auto next = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0U;
        if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {
            escape(byte);
            escape(static_cast<unsigned char>(next));
            ++at;
        } else if (byte < 0x20 ? !(keep_newlines && byte == '\n') : byte == 0x7F) {
            escape(byte);
        } else {
            result += text[at];
        }
    }
    return result;
}

std::string printable(std::string_view text, std::size_t most) {
    std::string result;
    for (const char c : text.substr(0, most)) {
        if (c >= 0x20 && c < 0x7f) {
            result += c;
        } else {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    if (text.size() > most) result += "...";
    return result;
}

}  // namespace cpulevel
