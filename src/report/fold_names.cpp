// How names are folded: a name is cut at its runs of digits. Patterns that are the same but for one run are one pattern
// whose run holds all their numbers. That is done for each run in turn, from the last to the first: after the nodes of
// each rack are one pattern, racks with the same nodes fold as well, because ranges are compared as text.
#include "report/fold_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <string_view>

#include "util/text.h"

namespace cpulevel::report {

namespace {

constexpr std::size_t kLongestNumber = 15;  // digits: exact in the double of a browser
constexpr std::size_t kMostRuns = 8;        // of digits that can fold; the first ones of a longer name are plain text

using Parts = std::vector<std::string>;

bool digit(char c) { return c >= '0' && c <= '9'; }

// Literal, number, literal, ..., literal.
Parts cut(std::string_view name) {
    Parts parts;
    std::string literal;
    for (std::size_t at = 0; at < name.size();) {
        if (!digit(name[at])) {
            literal += name[at++];
            continue;
        }
        std::size_t end = at;
        while (end < name.size() && digit(name[end])) ++end;
        const std::string_view number = name.substr(at, end - at);
        if (number.size() > kLongestNumber) {
            literal += number;
        } else {
            parts.push_back(std::move(literal));
            literal.clear();
            parts.emplace_back(number);
        }
        at = end;
    }
    parts.push_back(std::move(literal));
    while (parts.size() > 2 * kMostRuns + 1) {
        parts[2] = parts[0] + parts[1] + parts[2];
        parts.erase(parts.begin(), parts.begin() + 2);
    }
    return parts;
}

std::uint64_t value_of(std::string_view number) {
    std::uint64_t value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    return value;
}

bool follows(const std::string& last, const std::string& next) {
    if (value_of(next) != value_of(last) + 1) return false;
    return next.size() == last.size() || (next.size() == last.size() + 1 && next.front() == '1' && last.front() == '9');
}

// Numbers as text, each once, sorted by length and value: "1-9,11" and the like.
std::string ranges_of(const Parts& numbers) {
    std::string text;
    for (std::size_t at = 0; at < numbers.size();) {
        std::size_t last = at;
        while (last + 1 < numbers.size() && follows(numbers[last], numbers[last + 1])) {
            // From 08 on there is no way to 100 without ambiguity: a span with leading zeros keeps its width.
            if (numbers[last + 1].size() != numbers[at].size() && numbers[at].front() == '0') break;
            ++last;
        }
        if (!text.empty()) text += ',';
        text += numbers[at];
        if (last != at) text += (last == at + 1 ? "," : "-") + numbers[last];
        at = last + 1;
    }
    return text;
}

struct Pattern {
    Parts parts;
    std::size_t count = 1;
};

// Folds the patterns of one number of parts at the run `place`.
std::vector<Pattern> fold_at(std::vector<Pattern> patterns, std::size_t place) {
    std::map<Parts, std::vector<std::size_t>> alike;  // by everything but that run
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        Parts rest = patterns[i].parts;
        rest[place].clear();
        alike[std::move(rest)].push_back(i);
    }
    std::vector<Pattern> result;
    for (auto& [rest, members] : alike) {
        if (members.size() == 1) {
            result.push_back(std::move(patterns[members.front()]));
            continue;
        }
        Parts numbers;
        std::size_t count = 0;
        for (const std::size_t member : members) {
            numbers.push_back(patterns[member].parts[place]);
            count += patterns[member].count;
        }
        std::ranges::sort(numbers, [](const std::string& a, const std::string& b) {
            return a.size() != b.size() ? a.size() < b.size() : a < b;
        });
        Pattern folded{.parts = rest, .count = count};
        folded.parts[place] = ranges_of(numbers);
        result.push_back(std::move(folded));
    }
    return result;
}

bool is_number(std::string_view part) { return std::ranges::all_of(part, digit); }

// Runs that hold one number are text like any other.
FoldedNames without_single_numbers(Pattern pattern) {
    FoldedNames folded{.parts = {std::move(pattern.parts.front())}, .count = pattern.count};
    for (std::size_t i = 1; i + 1 < pattern.parts.size(); i += 2) {
        if (is_number(pattern.parts[i])) {
            folded.parts.back() += pattern.parts[i] + pattern.parts[i + 1];
        } else {
            folded.parts.push_back(std::move(pattern.parts[i]));
            folded.parts.push_back(std::move(pattern.parts[i + 1]));
        }
    }
    return folded;
}

}  // namespace

std::vector<FoldedNames> fold_names(std::span<const std::string> names) {
    std::vector<std::string> sorted(names.begin(), names.end());
    std::ranges::sort(sorted);
    const auto doubled = std::ranges::unique(sorted);
    sorted.erase(doubled.begin(), doubled.end());

    std::map<std::size_t, std::vector<Pattern>> by_length;
    for (const std::string& name : sorted) {
        Parts parts = cut(name);
        const std::size_t length = parts.size();
        by_length[length].push_back({.parts = std::move(parts)});
    }
    std::vector<FoldedNames> result;
    for (auto& [length, patterns] : by_length) {
        for (std::size_t place = length; place-- > 0;) {
            if (place % 2 == 1) patterns = fold_at(std::move(patterns), place);
        }
        for (Pattern& pattern : patterns) result.push_back(without_single_numbers(std::move(pattern)));
    }
    std::ranges::sort(result, {}, &FoldedNames::parts);
    return result;
}

std::string to_text(const FoldedNames& folded) {
    std::string text;
    for (std::size_t i = 0; i < folded.parts.size(); ++i) {
        text += i % 2 == 1 ? "[" + folded.parts[i] + "]" : folded.parts[i];
    }
    return text;
}

std::vector<std::string> unfold(const FoldedNames& folded) {
    std::vector<std::string> names = {folded.parts.front()};
    for (std::size_t i = 1; i + 1 < folded.parts.size(); i += 2) {
        std::vector<std::string> numbers;
        for (const std::string_view span : split(folded.parts[i], ',')) {
            const auto dash = span.find('-');
            const std::string_view first = span.substr(0, dash);
            const std::string_view last = dash == std::string_view::npos ? first : span.substr(dash + 1);
            const std::size_t width = first.size() == last.size() ? first.size() : 0;
            for (std::uint64_t value = value_of(first); value <= value_of(last); ++value) {
                numbers.push_back(fmt::format("{:0{}}", value, width));
            }
        }
        std::vector<std::string> longer;
        for (const std::string& name : names) {
            for (const std::string& number : numbers) longer.push_back(name + number + folded.parts[i + 1]);
        }
        names = std::move(longer);
    }
    return names;
}

}  // namespace cpulevel::report
