// Aligned columns for people. The last column may be long: it is wrapped at words to the width of the terminal, and
// continued under itself.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/style.h"

namespace cpulevel::cli {

enum class Align : unsigned char { left, right };

class Table {
   public:
    // No header line where all headings are empty.
    explicit Table(std::vector<std::string> headings, std::size_t indent = 2);
    Table& align(std::size_t column, Align align);
    void add_row(std::vector<std::string> cells);  // missing cells are empty
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    [[nodiscard]] std::string text(const Style& style, std::size_t width) const;

   private:
    std::vector<std::string> headings_;
    std::vector<Align> align_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t indent_ = 2;
};

// Words on lines of at most `width` columns; a longer word stands alone. Every line but the first is indented by
// `indent`, and the first is taken to begin there.
[[nodiscard]] std::string wrap(std::string_view text, std::size_t width, std::size_t indent);

// The columns that UTF-8 text takes, colour sequences not counted. (East Asian wide characters are counted as one.)
[[nodiscard]] std::size_t columns(std::string_view text);

}  // namespace cpulevel::cli
