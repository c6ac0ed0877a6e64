#include "util/proc_status.h"

#include "util/text.h"

namespace cpulevel {

namespace {

constexpr std::string_view kBlanks = "\t ";

}  // namespace

std::string_view status_field(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
            return trim(line.substr(name.size() + 1));
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    }
    return {};
}

std::string_view first_word(std::string_view field) { return field.substr(0, field.find_first_of(kBlanks)); }

std::string_view last_word(std::string_view field) { return field.substr(field.find_last_of(kBlanks) + 1); }

}  // namespace cpulevel
