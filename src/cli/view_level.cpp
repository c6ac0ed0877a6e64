#include <fmt/format.h>

#include <algorithm>

#include "cli/view.h"
#include "level/named.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

// What programs can use; features of use to a kernel only are counted where they are listed.
std::string described(const level::Level& level, const arch::FeatureTable& table) {
    const auto named = best_named_level(table, level.features);
    if (!named) return plural(user_features(table, level.features).size(), "feature");
    const arch::FeatureSet base = level::features_of(table, *table.find_level(*named));
    const std::size_t more = user_features(table, level.features - base).size();
    return fmt::format(
        "{}{}", *named,
        more == 0 ? std::string{} : fmt::format(" and {} more {}", more, more == 1 ? "feature" : "features"));
}

std::string xsave_text(const level::Level& level) {
    if (!level.xsave) return "hidden (no OSXSAVE): programs use FXSAVE, whose size is the same everywhere";
    std::string text = byte_count(level.xsave->standard_size);
    if (level.xsave->compacted_size != 0)
        text += fmt::format(", compacted {}", byte_count(level.xsave->compacted_size));
    if (level.xsave->largest_node == "data") {
        text += ", the largest of any CPU known";
    } else if (!level.xsave->largest_node.empty()) {
        text += ", of " + safe(level.xsave->largest_node);
    }
    return text + "; visible: " + component_names(level.xsave->visible);
}

std::string signal_stack_text(const level::Level& level) {
    if (!level.minimum_signal_stack) return "not levelled";
    std::string text = byte_count(*level.minimum_signal_stack) + " at least";
    if (level.minimum_signal_stack_node == "data") return text + ", the largest of any CPU known";
    if (!level.minimum_signal_stack_node.empty()) text += ", of " + safe(level.minimum_signal_stack_node);
    return text;
}

}  // namespace

std::string describe(const level::Level& level, const View& view) {
    const arch::FeatureTable& table = arch::table(level.architecture);
    const bool x86 = level.architecture == arch::Architecture::x86_64;
    Table facts({"", ""}, 0);
    facts.add_row({"level", view.style.strong(safe(level.name))});
    facts.add_row({"architecture", std::string(arch::name(level.architecture))});
    facts.add_row({"shows", view.style.good(described(level, table))});
    if (level.identity) {
        const std::string brand(trim(level.identity->brand));
        facts.add_row({"looks like", safe(brand.empty() ? level.identity->vendor : brand)});
    } else if (x86) {
        facts.add_row({"looks like", "the machine's own vendor, model and brand"});
    }
    if (x86) facts.add_row({"XSAVE area", xsave_text(level)});
    facts.add_row({"signal stack", signal_stack_text(level)});
    if (level.platform) facts.add_row({"AT_PLATFORM", safe(*level.platform)});
    for (std::size_t word = 0; word < level.hwcap.size(); ++word) {
        if (!level.hwcap[word]) continue;
        facts.add_row({word == 0 ? "AT_HWCAP" : fmt::format("AT_HWCAP{}", word + 1),
                       fmt::format("machine's own & {:#x}", *level.hwcap[word])});
    }
    for (const auto& [name, value] : level.registers) facts.add_row({safe(name), fmt::format("{:#x}", value)});

    std::string text = facts.text(view.style, view.width);
    text += "\n" + heading(view, features_heading(table, level.features, view));
    text += features_by_group(table, level.features, view);
    if (!level.undetermined.empty()) {
        text += "\n" + heading(view, fmt::format("Hidden because some node's description does not say ({})",
                                                 (view.all ? level.undetermined : user_features(table, level.undetermined)).size()));
        text += features_by_group(table, level.undetermined, view);
    }
    if (!level.warnings.empty()) text += "\n" + heading(view, "Warnings") + bullets(level.warnings, view);
    return text;
}

}  // namespace cpulevel::cli
