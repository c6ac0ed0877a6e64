#include "profile/cpu_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/text.h"

namespace cpulevel::profile {

Result<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
    const auto refuse = [](std::string_view part, std::string why) {
        return usage_error("not a list of CPUs", "\"" + printable(part, 40) + "\"", std::move(why));
    };
    std::vector<unsigned> cpus;
    text = trim(text);
    if (text.empty()) return cpus;
    for (const std::string_view part : split(text, ',')) {
        const auto dash = part.find('-');
        const auto first = parse_decimal(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_decimal(part.substr(dash + 1));
        if (!first || !last) return refuse(part, "expected a number or a range such as 0-7");
        if (*last < *first) return refuse(part, "the range goes backwards");
        if (*last > kMaximumCpu) return refuse(part, fmt::format("CPU numbers end at {}", kMaximumCpu));
        if (!cpus.empty() && *first <= cpus.back()) return refuse(part, "not in ascending order");
        for (auto cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<unsigned>(cpu));
    }
    return cpus;
}

std::string format_cpu_list(std::span<const unsigned> cpus) {
    std::vector<unsigned> sorted(cpus.begin(), cpus.end());
    std::ranges::sort(sorted);
    std::string text;
    for (std::size_t i = 0; i < sorted.size();) {
        std::size_t last = i;
        while (last + 1 < sorted.size() && sorted[last + 1] <= sorted[last] + 1) ++last;
        if (!text.empty()) text += ',';
        text += sorted[i] == sorted[last] ? fmt::format("{}", sorted[i])
                                          : fmt::format("{}-{}", sorted[i], sorted[last]);
        i = last + 1;
    }
    return text;
}

}  // namespace cpulevel::profile
