#include "cli/table.h"

#include <algorithm>

#include "util/text.h"

namespace cpulevel::cli {

namespace {

constexpr std::string_view kGap = "  ";
constexpr std::size_t kNarrowestLast = 20;  // columns; below that wrapping does more harm than a long line

std::string padded(std::string_view text, std::size_t width, Align align) {
    const std::size_t missing = width - std::min(width, columns(text));
    const std::string blank(missing, ' ');
    return align == Align::right ? blank + std::string(text) : std::string(text) + blank;
}

}  // namespace

std::size_t columns(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x1b') {
            while (i < text.size() && text[i] != 'm') ++i;
        } else if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) {
            ++count;  // not a continuation byte
        }
    }
    return count;
}

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
    std::string result;
    std::size_t at = indent;
    bool first = true;
    for (const std::string_view word : split(text, ' ')) {
        if (word.empty()) continue;
        const std::size_t length = columns(word);
        if (!first && at + 1 + length > width) {
            result += "\n" + std::string(indent, ' ');
            at = indent;
        } else if (!first) {
            result += ' ';
            ++at;
        }
        result += word;
        at += length;
        first = false;
    }
    return result;
}

Table::Table(std::vector<std::string> headings, std::size_t indent)
    : headings_(std::move(headings)), align_(headings_.size(), Align::left), indent_(indent) {}

Table& Table::align(std::size_t column, Align align) {
    align_.at(column) = align;
    return *this;
}

void Table::add_row(std::vector<std::string> cells) {
    cells.resize(headings_.size());
    rows_.push_back(std::move(cells));
}

std::string Table::text(const Style& style, std::size_t width) const {
    std::vector<std::size_t> widths(headings_.size());
    for (std::size_t c = 0; c < headings_.size(); ++c) {
        widths[c] = columns(headings_[c]);
        for (const auto& row : rows_) widths[c] = std::max(widths[c], columns(row[c]));
    }
    std::size_t last_start = indent_;
    for (std::size_t c = 0; c + 1 < widths.size(); ++c) last_start += widths[c] + kGap.size();
    const bool room = width >= last_start + kNarrowestLast;

    const auto line = [&](const std::vector<std::string>& row, bool heading) {
        std::string text(indent_, ' ');
        for (std::size_t c = 0; c < row.size(); ++c) {
            const bool last = c + 1 == row.size();
            std::string cell;
            if (!last || align_[c] == Align::right) {
                cell = padded(row[c], widths[c], align_[c]);
            } else {
                cell = room ? wrap(row[c], width, last_start) : row[c];
            }
            text += heading ? style.faint(cell) : cell;
            if (!last) text += kGap;
        }
        const auto end = text.find_last_not_of(' ');
        return text.substr(0, end == std::string::npos ? 0 : end + 1) + "\n";
    };

    std::string result;
    if (std::ranges::any_of(headings_, [](const std::string& heading) { return !heading.empty(); })) {
        result += line(headings_, true);
    }
    for (const auto& row : rows_) result += line(row, false);
    return result;
}

}  // namespace cpulevel::cli
