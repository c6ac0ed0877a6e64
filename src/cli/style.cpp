#include "cli/style.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "util/text.h"

namespace cpulevel::cli {

namespace {

constexpr std::size_t kDefaultWidth = 80;
constexpr std::size_t kMinimumWidth = 40;
constexpr std::size_t kMaximumWidth = 200;  // longer lines are hard to read, however wide the terminal is

std::string_view environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view{} : std::string_view{value};
}

}  // namespace

Style Style::for_descriptor(int fd) {
    const bool wanted = environment("NO_COLOR").empty() && environment("TERM") != "dumb" && ::isatty(fd) == 1;
    return Style(wanted);
}

std::string Style::wrap(std::string_view code, std::string_view text) const {
    if (!colour_ || text.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::size_t terminal_width(int fd) {
    std::size_t width = kDefaultWidth;
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        width = size.ws_col;
    } else if (const auto columns = parse_decimal(environment("COLUMNS")); columns && *columns > 0) {
        width = static_cast<std::size_t>(std::min<std::uint64_t>(*columns, kMaximumWidth));
    }
    return std::clamp(width, kMinimumWidth, kMaximumWidth);
}

}  // namespace cpulevel::cli
