#include <fmt/format.h>

#include <algorithm>

#include "cli/blame.h"
#include "cli/view.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

using level::Loss;
using level::LossReason;

std::string nodes_text(const Blame& guilt, std::span<const profile::NodeProfile> nodes, const View& view) {
    Table rows({"node", "level", "features", "alone costs", "CPU"});
    rows.align(2, Align::right).align(3, Align::right);
    for (const profile::NodeProfile& node : nodes) {
        const auto named = best_named_level(arch::table(node.architecture), node.features);
        const std::size_t alone = guilt.alone(node.name);
        std::string brand(trim(node.identity.brand));
        if (brand.empty()) brand = node.identity.vendor;
        rows.add_row({safe(node.name), std::string(named.value_or("-")), fmt::format("{}", node.features.size()),
                      alone == 0 ? "-" : view.style.caution(fmt::format("{}", alone)), safe(brand)});
    }
    return rows.text(view.style, view.width);
}

// Programs' features first; those that only a kernel can use are counted, or shown with --all.
std::string names_of(std::span<const Loss* const> losses, const arch::FeatureTable& table, const View& view,
                     std::size_t indent) {
    std::vector<std::string> names;
    std::size_t hidden = 0;
    for (const Loss* loss : losses) {
        const arch::Feature& feature = table[loss->feature];
        if (!feature.user && !view.all) {
            ++hidden;
            continue;
        }
        std::string name(feature.name);
        if (!loss->undescribed.empty() && loss->lacking.empty()) name += "?";
        if (!loss->switched_off.empty()) name += "*";
        names.push_back(std::move(name));
    }
    std::string text = join(names, " ");
    if (hidden > 0) text += fmt::format("{}({}{} for kernels only)", names.empty() ? "" : " ", names.empty() ? "" : "and ", hidden);
    return wrap(text, view.width, indent);
}

std::string needs_text(const Loss& loss, const arch::FeatureTable& table) {
    std::vector<std::string> needs;
    for (const arch::FeatureId id : loss.missing_needs) needs.emplace_back(table[id].name);
    return join(needs, ", ");
}

// "vaes (needs avx)", so that nobody looks for the node that lacks VAES.
std::string closure_text(std::span<const Loss* const> losses, const arch::FeatureTable& table, const View& view) {
    std::vector<std::string> parts;
    for (const Loss* loss : losses) {
        if (!table[loss->feature].user && !view.all) continue;
        parts.push_back(fmt::format("{} (needs {})", table[loss->feature].name, needs_text(*loss, table)));
    }
    if (parts.empty()) return {};
    return "    follows: " + wrap(join(parts, ", "), view.width, 13) + "\n";
}

std::string group_text(const BlameGroup& group, const arch::FeatureTable& table, const View& view) {
    const std::vector<std::string> names(group.nodes.begin(), group.nodes.end());
    const std::size_t count = group.direct.size() + group.by_closure.size();
    const std::string who = safe(join(names, ", "));
    std::string text = "  " + wrap(fmt::format("{} {}", view.style.caution(fmt::format("{}:", plural(count, "feature"))),
                                               "lacked by " + who),
                                   view.width, 4) +
                       "\n";
    if (!group.direct.empty()) text += "    " + names_of(group.direct, table, view, 4) + "\n";
    return text + closure_text(group.by_closure, table, view);
}

std::string general_text(std::span<const Loss* const> losses, const arch::FeatureTable& table, const View& view) {
    std::string text;
    for (const Loss* loss : losses) {
        const arch::Feature& feature = table[loss->feature];
        std::string why = !loss->detail.empty() ? loss->detail : std::string(feature.why);
        if (loss->reason == LossReason::closure) why = "needs " + needs_text(*loss, table);
        if (why.empty()) why = std::string(level::name(loss->reason));
        text += "  " + wrap(fmt::format("{}: {}", feature.name, safe(why)), view.width, 4) + "\n";
    }
    return text;
}

// One line a feature, for those who look for one.
std::string every_loss(std::span<const Loss> losses, const arch::FeatureTable& table, const View& view) {
    Table rows({"feature", "reason", "because of"});
    for (const Loss& loss : losses) {
        std::vector<std::string> parts;
        if (!loss.lacking.empty()) parts.push_back("lacked by " + join(loss.lacking, ", "));
        if (!loss.switched_off.empty()) parts.push_back("switched off on " + join(loss.switched_off, ", "));
        if (!loss.undescribed.empty()) parts.push_back("not told by " + join(loss.undescribed, ", "));
        if (!loss.missing_needs.empty()) parts.push_back("needs " + needs_text(loss, table));
        if (!loss.detail.empty()) parts.push_back(loss.detail);
        if (parts.empty()) parts.emplace_back(table[loss.feature].why);
        rows.add_row({std::string(table[loss.feature].name), std::string(level::name(loss.reason)), safe(join(parts, "; "))});
    }
    return rows.text(view.style, view.width);
}

std::string largest_text(std::string_view what, const std::optional<level::Largest>& largest) {
    if (!largest) return fmt::format("  {}: not known\n", what);
    const std::string whose = largest->node == "data" ? "the largest of any CPU known" : "of " + safe(largest->node);
    return fmt::format("  {}: {}, {}\n", what, byte_count(largest->bytes), whose);
}

}  // namespace

std::string losses_text(const level::Meet& meet, std::span<const profile::NodeProfile> nodes, const View& view) {
    const arch::FeatureTable& table = arch::table(meet.level.architecture);
    const Blame guilt = blame(meet.losses);
    std::string text = heading(view, plural(nodes.size(), "node")) + nodes_text(guilt, nodes, view);

    text += "\n" + heading(view, "What programs must provide for");
    if (meet.level.architecture == arch::Architecture::x86_64) text += largest_text("largest XSAVE area", meet.xsave_area);
    text += largest_text("largest signal stack", meet.signal_stack);

    text += "\n";
    if (meet.losses.empty()) return text + heading(view, "Nothing is lost: the nodes have the same features");
    text += heading(view, fmt::format("Lost: {} that some node has", plural(meet.losses.size(), "feature")));
    if (view.all) return text + every_loss(meet.losses, table, view);
    for (const BlameGroup& group : guilt.groups) text += group_text(group, table, view);
    if (!guilt.general.empty()) {
        text += "\n" + heading(view, "Not shown, whoever has it") + general_text(guilt.general, table, view);
    }
    const bool off = std::ranges::any_of(meet.losses, [](const Loss& loss) { return !loss.switched_off.empty(); });
    const bool unknown = std::ranges::any_of(meet.losses, [](const Loss& loss) { return !loss.undescribed.empty(); });
    if (off) text += "  " + view.style.faint("*: the CPU has it, the system does not enable it") + "\n";
    if (unknown) text += "  " + view.style.faint("?: nobody lacks it, but some description does not say") + "\n";
    return text;
}

}  // namespace cpulevel::cli
