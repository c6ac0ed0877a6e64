// Text of unknown origin in a page. Whatever a name holds, it is shown and never acts: not as markup, not as script, not
// by turning the direction of the text around it, not by being invisible.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cpulevel::report {

inline constexpr std::size_t kLongestName = 160;  // characters; what is longer is cut, with the number that is missing

// Readable text: bytes that are not UTF-8 become \xNN; control characters, marks that change the direction of text, and
// characters without a shape become \u{N}. The result is valid UTF-8 on one line.
[[nodiscard]] std::string visible(std::string_view text, std::size_t most = kLongestName);

// visible(), safe as content of an element and of a quoted attribute.
[[nodiscard]] std::string text(std::string_view text, std::size_t most = kLongestName);

// The same for text that is visible() already, or our own.
[[nodiscard]] std::string escape(std::string_view text);

// JSON as content of a <script type="application/json">: no byte of it can end the element or open another.
[[nodiscard]] std::string inside_script(std::string_view json);

}  // namespace cpulevel::report
