// Small text helpers: numbers in the forms that CPU tools print, splitting, and "did you mean".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cpulevel {

[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
[[nodiscard]] std::string lower(std::string_view text);

// The whole text must be the number; "0x" optional for hex. Nothing on overflow or junk.
[[nodiscard]] std::optional<std::uint64_t> parse_hex(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text);
// "0x..." as hex, else decimal.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);

// The candidates nearest to a mistyped word (edit distance at most a third of its length), best first.
[[nodiscard]] std::vector<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates,
                                                    std::size_t most = 3);

// Made safe for a terminal, whatever the language: control characters, of ASCII and of ISO 6429's second set as UTF-8 has them
// (C2 80 to C2 9F), become \xNN.
[[nodiscard]] std::string without_controls(std::string_view text, bool keep_newlines = false);

// Text from a file or a tracee, made safe for a terminal: control and non-ASCII bytes become \xNN.
[[nodiscard]] std::string printable(std::string_view text, std::size_t most = 120);

}  // namespace cpulevel
