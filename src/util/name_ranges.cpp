#include "util/name_ranges.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "util/text.h"

namespace cpulevel {
namespace {

constexpr std::string_view kSpecial = "[],%";
constexpr std::size_t kMostDigits = 18;  // fits into 64 bits

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string escaped(std::string_view name) {
    static constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string text;
    for (const char c : name) {
        if (kSpecial.find(c) == std::string_view::npos) {
            text += c;
        } else {
            text += '%';
            text += kHex[unsigned{static_cast<unsigned char>(c)} >> 4U];
            text += kHex[static_cast<unsigned char>(c) & 15U];
        }
    }
    return text;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string name;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            name += text[at];
            continue;
        }
        if (text.size() - at < 3) return std::nullopt;
        const auto code = parse_hex(text.substr(at + 1, 2));
        if (!code || kSpecial.find(static_cast<char>(*code)) == std::string_view::npos) return std::nullopt;
        name += static_cast<char>(*code);
        at += 2;
    }
    return name;
}

std::string padded(std::uint64_t number, std::size_t width) {
    std::string digits = std::to_string(number);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    return digits;
}

struct Numbered {
    std::string before, after;
    std::size_t width = 0;  // of the digits; 0: no leading zeros
    friend auto operator<=>(const Numbered&, const Numbered&) = default;
};

std::unexpected<Error> refuse(std::string_view text, std::string why) {
    return usage_error("not a list of node names", printable(text, 80), std::move(why),
                       "for instance node7 or node[1-4,9]");
}

// Names that differ in a number, or one name.
struct Range {
    std::string before, after;
    std::uint64_t first = 0, last = 0;
    std::size_t width = 0;  // of the number at least; 0: there is none
    [[nodiscard]] std::string name(std::uint64_t number) const {
        return width == 0 ? before : before + padded(number, width) + after;
    }
};

// Calls `visit` with each range of one text; it says whether to go on.
template <class Visit>
Result<void> visit_one(std::string_view text, Visit&& visit) {
    const auto open = text.find('[');
    const auto close = text.find(']');
    auto before = unescaped(text.substr(0, std::min(open, text.size())));
    if (!before) return refuse(text, "a % that stands for nothing");
    Range range;
    range.before = *std::move(before);
    if (open == std::string_view::npos) {
        if (close != std::string_view::npos) return refuse(text, "a closing bracket without an opening one");
        visit(range);
        return {};
    }
    if (close == std::string_view::npos || close < open || text.find('[', open + 1) != std::string_view::npos ||
        text.find(']', close + 1) != std::string_view::npos) {
        return refuse(text, "one pair of brackets is understood");
    }
    auto after = unescaped(text.substr(close + 1));
    if (!after) return refuse(text, "a % that stands for nothing");
    range.after = *std::move(after);
    std::string_view list = text.substr(open + 1, close - open - 1);
    for (bool more = true; more;) {
        const auto comma = list.find(',');
        const std::string_view part = list.substr(0, comma);
        more = comma != std::string_view::npos;
        if (more) list.remove_prefix(comma + 1);
        const auto dash = part.find('-');
        const std::string_view low = part.substr(0, dash);
        const std::string_view high = dash == std::string_view::npos ? low : part.substr(dash + 1);
        const auto valid = [](std::string_view digits) {
            return !digits.empty() && digits.size() <= kMostDigits && std::ranges::all_of(digits, is_digit);
        };
        if (!valid(low) || !valid(high)) return refuse(text, "\"" + printable(part, 40) + "\" is no range of numbers");
        range.first = parse_decimal(low).value_or(0);
        range.last = parse_decimal(high).value_or(0);
        range.width = low.size();
        if (range.last < range.first) return refuse(text, "\"" + printable(part, 40) + "\" goes backwards");
        if (!visit(range)) return {};
    }
    return {};
}

template <class Visit>
Result<void> visit_ranges(std::string_view text, Visit&& visit) {
    std::size_t start = 0;
    for (std::size_t at = 0; at <= text.size(); ++at) {
        at = std::min(text.find_first_of("[],", at), text.size());
        if (at < text.size() && text[at] == '[') {
            // All commas in the brackets at once.
            at = std::min(text.find(']', at), text.size() - 1);
            continue;
        }
        if (at < text.size() && text[at] != ',') continue;
        const std::string_view one = text.substr(start, at - start);
        if (one.empty()) return refuse(text, "an empty name");
        if (auto done = visit_one(one, visit); !done) return done;
        start = at + 1;
    }
    return {};
}

}  // namespace

std::vector<std::string> to_ranges(std::vector<std::string> names) {
    std::map<Numbered, std::vector<std::uint64_t>> numbered;
    std::vector<std::string> texts;
    for (const std::string& name : names) {
        // The last run of digits counts: "rack2-node17.example.org" by 17.
        std::size_t end = name.size();
        while (end > 0 && !is_digit(name[end - 1])) --end;
        std::size_t start = end;
        while (start > 0 && is_digit(name[start - 1])) --start;
        const std::string digits = name.substr(start, end - start);
        if (digits.empty() || digits.size() > kMostDigits) {
            texts.push_back(escaped(name));
            continue;
        }
        const bool leading_zero = digits.size() > 1 && digits.front() == '0';
        // Numbers without leading zeros are of one series whatever their length ("9", "10"), and a series with zeros
        // takes those that have its width ("09", "10").
        numbered[{name.substr(0, start), name.substr(end), leading_zero ? digits.size() : 0}].push_back(
            parse_decimal(digits).value_or(0));
    }
    // "09" is in a series of width 2; "10" can join it.
    for (auto& [key, numbers] : numbered) {
        if (key.width == 0) continue;
        const auto plain = numbered.find({key.before, key.after, 0});
        if (plain == numbered.end()) continue;
        std::erase_if(plain->second, [&](std::uint64_t number) {
            if (std::to_string(number).size() != key.width) return false;
            numbers.push_back(number);
            return true;
        });
    }
    for (auto& [key, numbers] : numbered) {
        if (numbers.empty()) continue;
        std::ranges::sort(numbers);
        numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
        std::string list;
        for (std::size_t i = 0; i < numbers.size();) {
            std::size_t last = i;
            while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
            if (!list.empty()) list += ',';
            list += padded(numbers[i], key.width);
            if (last > i) list += '-' + padded(numbers[last], key.width);
            i = last + 1;
        }
        const bool single = numbers.size() == 1;
        texts.push_back(escaped(key.before) + (single ? list : "[" + list + "]") + escaped(key.after));
    }
    std::ranges::sort(texts);
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    return texts;
}

Result<std::size_t> count_in_ranges(std::string_view text, std::size_t most) {
    std::size_t count = 0;
    bool too_many = false;
    const auto visited = visit_ranges(text, [&](const Range& range) {
        too_many = too_many || range.last - range.first >= most - count;
        if (!too_many) count += range.last - range.first + 1;
        return !too_many;
    });
    if (!visited) return std::unexpected(visited.error());
    if (too_many) return refuse(text, "too many names");
    return count;
}

bool is_in_ranges(std::string_view text, std::string_view name) {
    bool found = false;
    // What cannot be read holds nothing.
    (void)visit_ranges(text, [&](const Range& range) {
        if (range.width == 0) {
            found = found || name == range.before;
            return !found;
        }
        if (!name.starts_with(range.before) || !name.ends_with(range.after)) return false;
        if (name.size() < range.before.size() + range.width + range.after.size()) return true;
        const std::string_view digits =
            name.substr(range.before.size(), name.size() - range.before.size() - range.after.size());
        if (digits.size() > kMostDigits || !std::ranges::all_of(digits, is_digit)) return false;
        // More digits than the width are there only where the number needs them.
        if (digits.size() > range.width && digits.front() == '0') return true;
        const std::uint64_t number = parse_decimal(digits).value_or(0);
        found = found || (range.first <= number && number <= range.last);
        return !found;
    });
    return found;
}

Result<std::vector<std::string>> from_ranges(std::string_view text, std::size_t most) {
    const auto count = count_in_ranges(text, most);
    if (!count) return std::unexpected(count.error());
    std::vector<std::string> names;
    names.reserve(*count);
    (void)visit_ranges(text, [&](const Range& range) {
        for (std::uint64_t number = range.first; number <= range.last; ++number) names.push_back(range.name(number));
        return true;
    });
    return names;
}

}  // namespace cpulevel
