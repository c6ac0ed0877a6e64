#include "cli/view_collect.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "util/text.h"

namespace cpulevel::cli {
namespace {

std::string join_some(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 6;
    if (names.size() <= kShown) return join(names, ", ");
    return join(std::span(names).first(kShown), ", ") + fmt::format(" and {} more", names.size() - kShown);
}

std::string not_told(const level::ToCollect& open, const arch::FeatureTable& table, const View& view) {
    std::vector<std::string> parts;
    const auto names = feature_names(table, view.all ? open.features : user_features(table, open.features));
    if (!names.empty()) parts.push_back("whether they have " + join(names, " "));
    if (names.empty() && !open.features.empty()) {
        parts.push_back(plural(open.features.size(), "feature") + " that only a kernel can use");
    }
    if (open.xsave_layout) parts.emplace_back("the XSAVE layout");
    if (open.signal_stack) parts.emplace_back("AT_MINSIGSTKSZ");
    for (const std::string& name : open.registers) parts.push_back(safe(name));
    return join(parts, "; ");
}

}  // namespace

std::string collect_text(std::span<const level::ToCollect> list, const arch::FeatureTable& table, const View& view) {
    if (list.empty()) return {};
    std::string text = "\n" + heading(view, "To be certain, collect more");
    for (const level::ToCollect& open : list) {
        text += "  " + wrap(safe(fmt::format("{} ({})", join_some(open.nodes), open.origin)), view.width, 4) + "\n";
        text += "    not told: " + wrap(not_told(open, table, view), view.width, 14) + "\n";
        text += "    " + wrap(open.how, view.width, 4) + "\n";
    }
    return text;
}

nlohmann::json collect_json(std::span<const level::ToCollect> list, const arch::FeatureTable& table) {
    nlohmann::json result = nlohmann::json::array();
    for (const level::ToCollect& open : list) {
        result.push_back({{"nodes", open.nodes},
                        {"origin", open.origin},
                        {"features", feature_names(table, open.features)},
                        {"xsave_layout", open.xsave_layout},
                        {"signal_stack", open.signal_stack},
                        {"registers", open.registers},
                        {"how", open.how}});
    }
    return result;
}

}  // namespace cpulevel::cli
