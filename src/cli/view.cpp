#include "cli/view.h"
#include "cli/view_types.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <map>

#include "level/named.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

// Intel SDM vol. 1 section 13.1 (XSAVE-supported features and state-component bitmaps); 19: APX specification.
constexpr std::array<std::string_view, 20> kComponents = {
    "x87",   "SSE",   "AVX",   "BNDREGS", "BNDCSR", "opmask", "ZMM_Hi256", "Hi16_ZMM", "PT",       "PKRU",
    "PASID", "CET_U", "CET_S", "HDC",     "UINTR",  "LBR",    "HWP",       "TILECFG",  "TILEDATA", "APX"};

}  // namespace

View View::of_standard_output(bool all) {
    return {.style = Style::for_descriptor(STDOUT_FILENO), .width = terminal_width(STDOUT_FILENO), .all = all};
}

std::string heading(const View& view, std::string_view text) { return view.style.strong(text) + "\n"; }

std::string safe(std::string_view text) { return printable(text, 400); }

std::string plural(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string plural(std::size_t count, std::string_view one, std::string_view several) {
    return fmt::format("{} {}", count, count == 1 ? one : several);
}

std::string with_commas(std::uint64_t number) {
    std::string digits = fmt::format("{}", number);
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

std::string nodes_count(std::uint64_t nodes) { return with_commas(nodes) + (nodes == 1 ? " node" : " nodes"); }

std::string byte_count(std::uint64_t bytes) { return with_commas(bytes) + " bytes"; }

std::string component_names(std::uint64_t components) {
    std::vector<std::string> names;
    for (unsigned i = 0; i < 64; ++i) {
        if ((components >> i & 1U) == 0) continue;
        names.push_back(i < kComponents.size() ? std::string(kComponents[i]) : fmt::format("#{}", i));
    }
    return join(names, " ");
}

std::vector<std::string> feature_names(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    std::vector<std::string> names;
    set.for_each([&](arch::FeatureId id) { names.emplace_back(table[id].name); });
    return names;
}

arch::FeatureSet user_features(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    arch::FeatureSet user;
    set.for_each([&](arch::FeatureId id) {
        if (table[id].user) user.insert(id);
    });
    return user;
}

std::string features_by_group(const arch::FeatureTable& table, const arch::FeatureSet& set, const View& view) {
    const arch::FeatureSet shown = view.all ? set : user_features(table, set);
    std::vector<std::string_view> order;  // of the table: base first
    std::map<std::string_view, std::vector<std::string>> groups;
    shown.for_each([&](arch::FeatureId id) {
        auto& group = groups[table[id].group];
        if (group.empty()) order.push_back(table[id].group);
        group.emplace_back(table[id].name);
    });
    Table rows({"", ""});
    for (const std::string_view group : order) rows.add_row({std::string(group), join(groups[group], " ")});
    std::string text = rows.text(view.style, view.width);
    const std::size_t hidden = set.size() - shown.size();
    if (hidden > 0) {
        text +=
            "  " + view.style.faint(fmt::format("and {} that only a kernel can use (--all shows them)", hidden)) + "\n";
    }
    return text;
}

std::string features_heading(const arch::FeatureTable& table, const arch::FeatureSet& set, const View& view) {
    return fmt::format("Features ({})", (view.all ? set : user_features(table, set)).size());
}

std::string bullets(std::span<const std::string> notes, const View& view) {
    std::string text;
    for (const std::string& note : notes) text += "  - " + wrap(safe(note), view.width, 4) + "\n";
    return text;
}

std::optional<std::string_view> best_named_level(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    return level::best_standard_level(table, set);
}

std::string reached_text(const arch::FeatureTable& table, const arch::FeatureSet& set, const arch::FeatureSet& known) {
    const auto [reach, level] = level::reached_level(table, set, known);
    switch (reach) {
        case level::Reach::exactly: return std::string(level);
        case level::Reach::at_least: return fmt::format("{} at least", level);
        case level::Reach::unknown: return "not known";
        case level::Reach::below: return "below every named level";
        case level::Reach::no_levels: break;
    }
    return fmt::format("no named levels for {}", arch::name(table.architecture()));
}

std::string reached_cell(const arch::FeatureTable& table, const arch::FeatureSet& set, const arch::FeatureSet& known) {
    const auto [reach, level] = level::reached_level(table, set, known);
    if (!level.empty()) return std::string(level);
    return reach == level::Reach::unknown ? "?" : "-";
}

std::optional<std::string_view> best_product_level(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    return level::best_product_level(table, set);
}

}  // namespace cpulevel::cli
