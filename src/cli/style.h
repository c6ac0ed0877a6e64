// Colour and width of a terminal. Colour only where a person looks: a terminal, TERM not "dumb", NO_COLOR
// (https://no-color.org) unset or empty. Never the only carrier of a meaning.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cpulevel::cli {

class Style {
   public:
    explicit Style(bool colour) : colour_(colour) {}
    [[nodiscard]] static Style for_descriptor(int fd);

    [[nodiscard]] bool colour() const { return colour_; }
    [[nodiscard]] std::string strong(std::string_view text) const { return wrap("1", text); }
    [[nodiscard]] std::string faint(std::string_view text) const { return wrap("2", text); }
    [[nodiscard]] std::string good(std::string_view text) const { return wrap("32", text); }
    [[nodiscard]] std::string bad(std::string_view text) const { return wrap("31", text); }
    [[nodiscard]] std::string caution(std::string_view text) const { return wrap("33", text); }

   private:
    [[nodiscard]] std::string wrap(std::string_view code, std::string_view text) const;
    bool colour_ = false;
};

// Columns of the terminal behind `fd`, else of $COLUMNS, else 80; at least 40.
[[nodiscard]] std::size_t terminal_width(int fd);

}  // namespace cpulevel::cli
