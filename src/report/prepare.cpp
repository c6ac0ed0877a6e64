#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "level/named.h"
#include "report/html.h"
#include "report/sections.h"
#include "util/text.h"

namespace cpulevel::report {

namespace {

constexpr std::size_t kLongestCpu = 48;  // characters of a short name: it heads a column

// Words of brand strings that every CPU of a vendor has, or that say what the core count does elsewhere.
bool says_nothing(std::string_view word) {
    static const std::set<std::string_view> words = {"cpu", "processor", "intel", "amd", "genuine", "with", "radeon",
                                                     "graphics", "vega", "mobile", "gfx"};
    const std::string small = lower(word);
    if (words.contains(small)) return true;
    return small.ends_with("-core") && small.size() > 5;
}

std::string without_marks(std::string_view brand) {
    std::string result(brand);
    for (const std::string_view mark : {"(R)", "(r)", "(TM)", "(tm)", "(C)", "\u00ae", "\u2122"}) {
        for (auto at = result.find(mark); at != std::string::npos; at = result.find(mark)) {
            result.replace(at, mark.size(), " ");
        }
    }
    return result;
}

std::vector<FoldedNames> folded_names(const NodeType& type) {
    std::vector<std::string> names;
    names.reserve(type.nodes.size());
    for (const std::string& name : type.nodes) names.push_back(visible(name));
    return fold_names(names);
}

arch::FeatureSet usable_by_programs(const arch::FeatureTable& table) {
    arch::FeatureSet set;
    table.all().for_each([&](arch::FeatureId id) {
        if (table[id].user) set.insert(id);
    });
    return set;
}

}  // namespace

std::string short_cpu(std::string_view brand) {
    std::vector<std::string> kept;
    const std::string plain = without_marks(brand.substr(0, brand.find('@')));
    for (const std::string_view word : split(plain, ' ')) {
        if (!word.empty() && !says_nothing(word)) kept.emplace_back(word);
    }
    const std::string name = join(kept, " ");
    return name.empty() ? std::string(trim(brand)) : name;
}

Prepared prepare(const Report& report, const Limits& limits) {
    const arch::FeatureTable& table = arch::table(report.level.architecture);
    Prepared prepared{.report = report, .table = table, .limits = limits, .usable = usable_by_programs(table)};
    for (const NodeType& type : report.types) {
        prepared.types.push_back(&type);
        prepared.nodes += type.count;
        prepared.some |= type.features;
    }
    const auto costs = [&](const NodeType* type) { return prepared.users(type->gained_without); };
    std::ranges::stable_sort(prepared.types, [&](const NodeType* a, const NodeType* b) {
        if (costs(a) != costs(b)) return costs(a) > costs(b);
        if (a->count != b->count) return a->count > b->count;
        return a->cpu < b->cpu;
    });
    prepared.place.resize(report.types.size());
    std::map<std::string, std::size_t> uses;
    for (std::size_t i = 0; i < prepared.types.size(); ++i) {
        prepared.place[static_cast<std::size_t>(prepared.types[i] - report.types.data())] = i;
        std::string name = visible(short_cpu(prepared.types[i]->cpu), kLongestCpu);
        if (name.empty()) name = "unnamed CPU";
        const std::size_t use = ++uses[name];
        // Two types may be of one model: another microcode, kernel or hypervisor. A name must still point at one.
        if (use > 1) name += fmt::format(" #{}", use);
        prepared.names.push_back(std::move(name));
        prepared.folded.push_back(folded_names(*prepared.types[i]));
    }
    for (const level::Loss& loss : report.losses) prepared.losses.emplace(loss.feature, &loss);
    return prepared;
}

std::string thousands(std::size_t number) {
    std::string digits = fmt::format("{}", number);
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

std::string count(std::size_t number, std::string_view noun) {
    return fmt::format("{} {}{}", thousands(number), noun, number == 1 ? "" : "s");
}

std::string bar(std::size_t part, std::size_t whole, std::string_view kind) {
    const double share = whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
    return fmt::format(
        R"(<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="rest" width="100" height="8"/><rect class="{}" width="{:.2f}" height="8"/></svg>)",
        kind, share);
}

std::string some_types(const Prepared& prepared, std::span<const std::size_t> places, std::size_t most) {
    std::string text;
    for (std::size_t i = 0; i < places.size() && i < most; ++i) {
        if (i > 0) text += i + 1 == places.size() ? " and " : ", ";
        text += fmt::format("<bdi>{}</bdi>", escape(prepared.names[places[i]]));
    }
    if (places.size() > most) text += fmt::format(" and {} more", thousands(places.size() - most));
    return text;
}

std::string level_name(const Prepared& prepared, const arch::FeatureSet& features) {
    return std::string(level::best_standard_level(prepared.table, features).value_or("no standard level"));
}

}  // namespace cpulevel::report
