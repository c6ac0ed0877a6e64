// Features against types of nodes. A row is a feature that some node has; a column is a type, and beyond Limits::columns
// one last column counts the others. The cells' letters are classes of page.css: y has it, n lacks it, o has it
// switched off, u its description does not say, p some of the others have it.
#include <fmt/format.h>

#include <algorithm>

#include "level/feature_text.h"
#include "report/html.h"
#include "report/sections.h"

namespace cpulevel::report {

namespace {

std::string_view cell(const NodeType& type, arch::FeatureId id) {
    if (type.features.contains(id)) return "<td class=y>✓";
    if (type.switched_off.contains(id)) return "<td class=o>○";
    if (!type.known.contains(id)) return "<td class=u>?";
    return "<td class=n>✕";
}

std::string others_cell(const Prepared& prepared, arch::FeatureId id) {
    const std::size_t others = prepared.types.size() - prepared.columns();
    if (others == 0) return {};
    const auto has = static_cast<std::size_t>(
        std::count_if(prepared.types.begin() + static_cast<std::ptrdiff_t>(prepared.columns()), prepared.types.end(),
                      [&](const NodeType* type) { return type->features.contains(id); }));
    if (has == others) return "<td class=y>✓";
    if (has == 0) return "<td class=n>✕";
    return fmt::format("<td class=p>{}", has);
}

// By every type: then what is not told is where the XSAVE area keeps its state.
bool feature_is_told(const Prepared& prepared, arch::FeatureId id) {
    return std::ranges::all_of(prepared.types, [&](const NodeType* type) { return type->known.contains(id); });
}

std::string level_cell(const Prepared& prepared, arch::FeatureId id) {
    if (prepared.report.level.features.contains(id)) return "<td class=k>shown";
    const auto loss = prepared.losses.find(id);
    const auto reason = loss == prepared.losses.end() ? level::LossReason::absent : loss->second->reason;
    switch (reason) {
        case level::LossReason::unknown: return feature_is_told(prepared, id) ? "<td class=l>layout not told" : "<td class=l>not told";
        case level::LossReason::closure: return "<td class=l>dependency";
        case level::LossReason::never: return "<td class=l>never";
        case level::LossReason::layout: return "<td class=l>layout";
        case level::LossReason::consistency: return "<td class=l>conflict";
        case level::LossReason::absent: break;
    }
    return "<td class=l>lost";
}

std::string feature_row(const Prepared& prepared, arch::FeatureId id) {
    const arch::Feature& feature = prepared.table[id];
    const bool kept = prepared.report.level.features.contains(id);
    std::string row = fmt::format(R"(<tr id="f-{}" class="{}{}" data-f="{}"><th scope="row"><b>{}</b> <small>{}</small>{})",
                                  escape(feature.name), kept ? "kept" : "lost", feature.user ? "" : " kernel", id.value,
                                  escape(feature.name), escape(feature.title), level_cell(prepared, id));
    for (std::size_t i = 0; i < prepared.columns(); ++i) row += cell(*prepared.types[i], id);
    return row + others_cell(prepared, id) + "\n";
}

// The rows of each group together, groups in the order of the table; a group without a lost row says so for the style.
std::string rows(const Prepared& prepared) {
    std::vector<std::string_view> order;
    std::map<std::string_view, std::vector<arch::FeatureId>> groups;
    prepared.some.for_each([&](arch::FeatureId id) {
        auto& group = groups[prepared.table[id].group];
        if (group.empty()) order.push_back(prepared.table[id].group);
        group.push_back(id);
    });
    const std::size_t width = 2 + prepared.columns() + (prepared.types.size() > prepared.columns() ? 1 : 0);
    std::string text;
    for (const std::string_view group : order) {
        text += fmt::format(R"(<tbody><tr class="group"><th scope="rowgroup">{}<td colspan="{}">
)",
                            escape(group), width - 1);
        for (const arch::FeatureId id : groups[group]) text += feature_row(prepared, id);
    }
    return text;
}

std::string column_heads(const Prepared& prepared) {
    std::string text;
    for (std::size_t i = 0; i < prepared.columns(); ++i) {
        text += fmt::format(R"(<th scope="col" data-t="{}"><span><bdi>{}</bdi></span><small>{}</small>
)",
                            i, escape(prepared.names[i]), thousands(prepared.types[i]->count));
    }
    if (const std::size_t others = prepared.types.size() - prepared.columns(); others > 0) {
        std::size_t nodes = 0;
        for (std::size_t i = prepared.columns(); i < prepared.types.size(); ++i) nodes += prepared.types[i]->count;
        text += fmt::format(R"(<th scope="col" data-t="others"><span>{} other types</span><small>{}</small>
)",
                            thousands(others), thousands(nodes));
    }
    return text;
}

std::string choice(std::string_view value, std::string_view label, std::size_t number, bool chosen) {
    return fmt::format(R"(<label><input type="radio" name="show" value="{}"{}><span>{} <i>{}</i></span></label>)", value,
                       chosen ? " checked" : "", label, number);
}

}  // namespace

std::string matrix_section(const Prepared& prepared) {
    const arch::FeatureSet some = prepared.some & prepared.usable;
    const arch::FeatureSet kept = some & prepared.report.level.features;
    const std::size_t lost = some.size() - kept.size();
    const std::size_t kernel = prepared.some.size() - some.size();
    const std::string_view density = prepared.types.size() <= 10   ? "few"
                                     : prepared.types.size() <= 28 ? "some"
                                                                   : "many";
    std::string cut;
    if (prepared.types.size() > prepared.columns()) {
        cut = fmt::format(
            "<p class=\"cut\">{} have columns of their own: those that cost most, then those with most nodes. The last column "
            "tells how many of the other {} have the feature.</p>\n",
            count(prepared.columns(), "type"), thousands(prepared.types.size() - prepared.columns()));
    }
    return fmt::format(
        R"(<section id="matrix" tabindex="-1" aria-labelledby="h-matrix">
<h2 id="h-matrix">Features by CPU type</h2>
<form class="tools" id="tools" hidden>
<fieldset class="choice"><legend class="unseen">Which features</legend>{}{}{}</fieldset>
<label class="find"><span class="unseen">Find a feature</span><input type="search" id="find-feature" placeholder="Find a feature: /" autocomplete="off" spellcheck="false" maxlength="80"></label>
<label class="find"><span class="unseen">Find a CPU type</span><input type="search" id="find-type" placeholder="Find a CPU type" autocomplete="off" spellcheck="false" maxlength="80"></label>
<label class="tick"><input type="checkbox" id="kernel"><span>also what only a kernel can use <i>{}</i></span></label>
</form>
<p class="legend"><span class="y">✓</span> has it <span class="n">✕</span> lacks it <span class="o">○</span> has it switched off <span class="u">?</span> its description does not tell <span class="hint" id="keys" hidden>In the matrix: arrow keys, Home, End, Page Up, Page Down; Escape hides an explanation.</span></p>
<div class="scroll grid" id="grid">
<table class="matrix {}" id="cells" data-show="{}" aria-labelledby="h-matrix">
<thead><tr><th scope="col" class="corner">Feature<th scope="col" class="lv"><span>Level</span>
{}{}</table>
<p class="none" id="none" hidden>No feature matches.</p></div>
{}</section>)",
        choice("lost", "Lost", lost, lost > 0), choice("kept", "Shown", kept.size(), false),
        choice("all", "All", some.size(), lost == 0), kernel, density, lost > 0 ? "lost" : "all", column_heads(prepared),
        rows(prepared), cut);
}

}  // namespace cpulevel::report
