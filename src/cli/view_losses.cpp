#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cli/blame.h"
#include "cli/view.h"
#include "cli/view_types.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

using level::Loss;
using level::LossReason;

// One line for each type, those with the most nodes first.
std::string types_text(const LevelledNodes& made_of, const View& view) {
    const auto& [nodes, counts, costs] = made_of;
    Table rows({"nodes", "type", "level", "features", "alone costs", "CPU"});
    rows.align(0, Align::right).align(3, Align::right).align(4, Align::right);
    std::vector<std::size_t> order(nodes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return counts[i]; });
    constexpr std::size_t kMost = 40;
    for (const std::size_t i : std::span(order).first(view.all ? order.size() : std::min(order.size(), kMost))) {
        const profile::NodeProfile& node = nodes[i];
        const std::size_t alone = user_features(arch::table(node.architecture), costs[i]).size();
        std::string brand(trim(node.identity.brand));
        if (brand.empty()) brand = node.identity.vendor;
        rows.add_row(
            {with_commas(counts[i]), safe(node.name), reached_cell(arch::table(node.architecture), node.features, node.known),
             fmt::format(
                 "{}",
                 (view.all ? node.features : user_features(arch::table(node.architecture), node.features)).size()),
             alone == 0 ? "-" : view.style.caution(fmt::format("{}", alone)), safe(brand)});
    }
    std::string text = rows.text(view.style, view.width);
    if (!view.all && order.size() > kMost) {
        text +=
            "  " + view.style.faint(fmt::format("and {} more types (--all shows them)", order.size() - kMost)) + "\n";
    }
    return text;
}

std::string nodes_text(const LevelledNodes& made_of, const View& view) {
    Table rows({"node", "level", "features", "alone costs", "CPU"});
    rows.align(2, Align::right).align(3, Align::right);
    for (std::size_t i = 0; i < made_of.nodes.size(); ++i) {
        const profile::NodeProfile& node = made_of.nodes[i];
        const arch::FeatureTable& table = arch::table(node.architecture);
        const std::size_t alone = user_features(table, made_of.alone[i]).size();
        std::string brand(trim(node.identity.brand));
        if (brand.empty()) brand = node.identity.vendor;
        rows.add_row({safe(node.name), reached_cell(table, node.features, node.known),
                      fmt::format("{}", (view.all ? node.features : user_features(table, node.features)).size()),
                      alone == 0 ? "-" : view.style.caution(fmt::format("{}", alone)), safe(brand)});
    }
    return rows.text(view.style, view.width);
}

std::vector<const Loss*> for_programs(std::span<const Loss* const> losses, const arch::FeatureTable& table) {
    std::vector<const Loss*> result;
    std::ranges::copy_if(losses, std::back_inserter(result),
                         [&](const Loss* loss) { return table[loss->feature].user; });
    return result;
}

std::string names_of(std::span<const Loss* const> losses, const arch::FeatureTable& table) {
    std::vector<std::string> names;
    for (const Loss* loss : losses) {
        std::string name(table[loss->feature].name);
        if (!loss->undescribed.empty() && loss->lacking.empty()) name += "?";
        if (!loss->switched_off.empty()) name += "*";
        names.push_back(std::move(name));
    }
    return join(names, " ");
}

std::string needs_text(const Loss& loss, const arch::FeatureTable& table) {
    std::vector<std::string> needs;
    for (const arch::FeatureId id : loss.missing_needs) needs.emplace_back(table[id].name);
    return join(needs, ", ");
}

// "vaes (needs avx)", so that nobody looks for the node that lacks VAES.
std::string closure_text(std::span<const Loss* const> losses, const arch::FeatureTable& table) {
    std::vector<std::string> parts;
    for (const Loss* loss : losses) {
        parts.push_back(fmt::format("{} (needs {})", table[loss->feature].name, needs_text(*loss, table)));
    }
    return join(parts, ", ");
}

std::string listed(std::vector<std::string> names) {
    constexpr std::size_t kMost = 8;
    if (names.size() <= kMost + 1) return join(names, ", ");
    const std::size_t more = names.size() - kMost;
    names.resize(kMost);
    return join(names, ", ") + fmt::format(" and {} more", more);
}

// Whichever is shorter: who lacks it, or who alone has it.
std::string who_text(const BlameGroup& group, std::span<const profile::NodeProfile> nodes) {
    std::vector<std::string> having;
    for (const profile::NodeProfile& node : nodes) {
        if (!group.nodes.contains(node.name)) having.push_back(node.name);
    }
    const std::vector<std::string> lacking(group.nodes.begin(), group.nodes.end());
    const bool few_have_it = !group.direct.empty() && !having.empty() && having.size() < lacking.size();
    return safe(few_have_it ? "only on " + listed(having) : "lacked by " + listed(lacking));
}

std::string group_text(const BlameGroup& group, std::span<const profile::NodeProfile> nodes,
                       const arch::FeatureTable& table, const View& view) {
    const auto direct = for_programs(group.direct, table);
    const auto follows = for_programs(group.by_closure, table);
    const std::size_t count = direct.size() + follows.size();
    if (count == 0) return {};
    std::string text = fmt::format("  {} ", view.style.caution(plural(count, "feature")));
    const std::string who =
        group.direct.empty() ? "by dependency, because of what is " + who_text(group, nodes) : who_text(group, nodes);
    text += wrap(who, view.width, 14) + "\n";
    if (!direct.empty()) text += "    " + wrap(names_of(direct, table), view.width, 4) + "\n";
    if (!follows.empty()) text += "    and by dependency: " + wrap(closure_text(follows, table), view.width, 23) + "\n";
    return text;
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
        rows.add_row(
            {std::string(table[loss.feature].name), std::string(level::name(loss.reason)), safe(join(parts, "; "))});
    }
    return rows.text(view.style, view.width);
}

std::string largest_text(std::string_view what, const std::optional<level::Largest>& largest) {
    if (!largest) return fmt::format("  {}: not known\n", what);
    const std::string whose = largest->node == "data" ? "the largest of any CPU known" : "of " + safe(largest->node);
    return fmt::format("  {}: {}, {}\n", what, byte_count(largest->bytes), whose);
}

}  // namespace

std::string losses_text(const level::Meet& meet, const LevelledNodes& made_of, const View& view) {
    const auto& [nodes, counts, costs] = made_of;
    const arch::FeatureTable& table = arch::table(meet.level.architecture);
    const Blame guilt = blame(meet.losses);
    std::string text;
    if (counts.empty()) {
        text = heading(view, plural(nodes.size(), "node")) + nodes_text(made_of, view);
    } else {
        const std::size_t all = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
        text = heading(view, fmt::format("{} of {}", nodes_count(all), plural(nodes.size(), "type"))) +
               types_text(made_of, view);
    }

    text += "\n" + heading(view, "What programs must provide for");
    if (meet.level.architecture == arch::Architecture::x86_64)
        text += largest_text("largest XSAVE area", meet.xsave_area);
    text += largest_text("largest signal stack", meet.signal_stack);

    text += "\n";
    if (meet.losses.empty()) {
        return text + heading(view, "Nothing is lost: the nodes have the same features");
    }
    const std::size_t usable = static_cast<std::size_t>(
        std::ranges::count_if(meet.losses, [&](const Loss& loss) { return view.all || table[loss.feature].user; }));
    text += heading(view, fmt::format("Lost: {} that some node has{}", plural(usable, "feature"),
                                      view.all ? "" : " and programs can use"));
    if (view.all) return text + every_loss(meet.losses, table, view);
    for (const BlameGroup& group : guilt.groups) text += group_text(group, nodes, table, view);
    const auto kernel_only =
        std::ranges::count_if(meet.losses, [&](const Loss& loss) { return !table[loss.feature].user; });
    if (kernel_only > 0) {
        text += "  " +
                view.style.faint(fmt::format("and {} that only a kernel can use (--all shows them)", kernel_only)) +
                "\n";
    }
    if (const auto general = for_programs(guilt.general, table); !general.empty()) {
        text += "\n" + heading(view, "Not shown, whoever has it") + general_text(general, table, view);
    }
    const bool off = std::ranges::any_of(meet.losses, [](const Loss& loss) { return !loss.switched_off.empty(); });
    const bool unknown = std::ranges::any_of(meet.losses, [](const Loss& loss) { return !loss.undescribed.empty(); });
    if (off) text += "  " + view.style.faint("*: the CPU has it, the system does not enable it") + "\n";
    if (unknown) text += "  " + view.style.faint("?: nobody lacks it, but some description does not say") + "\n";
    return text;
}

}  // namespace cpulevel::cli
