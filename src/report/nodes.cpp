// The nodes by type, folded, and the data that the script searches.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/fold_names.h"
#include "report/html.h"
#include "report/sections.h"
#include "util/text.h"

namespace cpulevel::report {

namespace {

constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

// Names without ranges, one a line, each without the beginning that it shares with the one before: a digit of base 36
// tells how much that is. Names that do not fold are mostly random, and this halves them.
struct NameLines {
    std::string text;
    std::string last;
    void add(const std::string& name) {
        std::size_t shared = 0;
        const std::size_t most = std::min({name.size(), last.size(), kDigits.size() - 1});
        while (shared < most && name[shared] == last[shared]) ++shared;
        // Not inside a character: JSON holds whole ones.
        while (shared > 0 && shared < name.size() && (static_cast<unsigned char>(name[shared]) & 0xC0U) == 0x80U) --shared;
        if (!text.empty()) text += '\n';
        text += kDigits[shared];
        text += std::string_view(name).substr(shared);
        last = name;
    }
};

nlohmann::json type_json(const Prepared& prepared, std::size_t index, std::size_t& bytes_left) {
    NameLines lines;
    nlohmann::json ranges = nlohmann::json::array();
    std::size_t missing = prepared.types[index]->count - std::min(prepared.types[index]->count, prepared.types[index]->nodes.size());
    for (const FoldedNames& folded : prepared.folded[index]) {
        std::size_t cost = 0;
        for (const std::string& part : folded.parts) cost += part.size() + 3;
        if (cost > bytes_left) {
            missing += folded.count;
            continue;
        }
        if (folded.parts.size() == 1) {
            const std::size_t before = lines.text.size();
            lines.add(folded.parts.front());
            cost = lines.text.size() - before + 1;
        } else {
            ranges.push_back(folded.parts);
        }
        bytes_left -= std::min(cost, bytes_left);
    }
    nlohmann::json json = {{"name", prepared.names[index]}, {"nodes", prepared.types[index]->count}};
    const std::string full = visible(prepared.types[index]->cpu);
    if (full != prepared.names[index]) json["cpu"] = full;
    if (!ranges.empty()) json["ranges"] = std::move(ranges);
    if (!lines.text.empty()) json["lines"] = std::move(lines.text);
    if (missing > 0) json["missing"] = missing;
    return json;
}

std::string why_lost(const Prepared& prepared, const level::Loss& loss) {
    std::string text;
    if (!loss.missing_needs.empty()) {
        std::vector<std::string> needs;
        for (const arch::FeatureId id : loss.missing_needs) needs.emplace_back(prepared.table[id].name);
        text = "lost because it needs " + join(needs, ", ") + ", which the level has not";
    }
    if (!loss.detail.empty()) text += (text.empty() ? "" : "; ") + visible(loss.detail, 300);
    return text;
}

nlohmann::json feature_json(const Prepared& prepared, arch::FeatureId id) {
    const arch::Feature& feature = prepared.table[id];
    nlohmann::json json = {{"name", feature.name}, {"title", feature.title}, {"source", feature.source}};
    if (!feature.why.empty()) json["why"] = feature.why;
    std::vector<std::string> aliases(feature.aliases.begin(), feature.aliases.end());
    if (!aliases.empty()) json["also"] = join(aliases, ", ");
    std::vector<std::string> needs;
    for (const arch::FeatureId need : feature.needs) needs.emplace_back(prepared.table[need].name);
    if (!needs.empty()) json["needs"] = join(needs, ", ");
    std::vector<std::string> needed;
    for (std::size_t i = 0; i < prepared.table.features().size(); ++i) {
        const arch::FeatureId other{static_cast<std::uint16_t>(i)};
        if (std::ranges::find(prepared.table[other].needs, id) != prepared.table[other].needs.end()) needed.emplace_back(prepared.table[other].name);
    }
    if (!needed.empty()) json["needed"] = join(needed, ", ");
    if (const auto loss = prepared.losses.find(id); loss != prepared.losses.end()) {
        if (std::string why = why_lost(prepared, *loss->second); !why.empty()) json["lost"] = std::move(why);
    }
    return json;
}

std::string type_block(const Prepared& prepared, std::size_t index, std::size_t& bytes_left) {
    const NodeType& type = *prepared.types[index];
    std::string names;
    std::size_t missing = type.count - std::min(type.count, type.nodes.size());
    for (const FoldedNames& folded : prepared.folded[index]) {
        const std::string one = to_text(folded);
        if (one.size() + 8 > bytes_left) {
            missing += folded.count;
            continue;
        }
        bytes_left -= one.size() + 8;
        names += fmt::format("{}<bdi>{}</bdi>", names.empty() ? "" : " ", escape(one));
    }
    if (missing > 0) {
        names += fmt::format(" <span class=\"quiet\">and {} not listed here</span>", count(missing, "node"));
    }
    return fmt::format(R"(<details data-t="{}"{}><summary><bdi>{}</bdi> <span class="quiet">{}</span></summary><p class="mono names">{}</p></details>
)",
                       index, prepared.types.size() <= 4 ? " open" : "", escape(prepared.names[index]),
                       count(type.count, "node"), names);
}

}  // namespace

std::string nodes_section(const Prepared& prepared) {
    std::string blocks;
    // What is shown as text is shared out, so that one type with random names does not silence the others.
    const std::size_t shown = std::min(prepared.types.size(), prepared.limits.type_rows);
    std::size_t left = prepared.limits.listed_bytes;
    for (std::size_t i = 0; i < shown; ++i) {
        std::size_t share = left / (shown - i);
        const std::size_t before = share;
        blocks += type_block(prepared, i, share);
        left -= before - share;
    }
    if (shown < prepared.types.size()) {
        blocks += fmt::format("<p class=\"cut\">{} are not listed; search finds their nodes.</p>\n",
                              count(prepared.types.size() - shown, "more type"));
    }
    return fmt::format(
        R"(<section id="nodes" tabindex="-1" aria-labelledby="h-nodes">
<h2 id="h-nodes">Nodes <span class="quiet">{}</span></h2>
<form class="tools" id="node-tools" hidden>
<label class="find wide"><span class="unseen">Find a node</span><input type="search" id="find-node" placeholder="Find a node by a part of its name" autocomplete="off" spellcheck="false" maxlength="200"></label>
<p id="found" class="quiet" role="status"></p>
</form>
<ol id="hits" class="hits" hidden></ol>
<div id="blocks">
{}</div>
</section>)",
        thousands(prepared.nodes), blocks);
}

std::string data_json(const Prepared& prepared) {
    nlohmann::json features = nlohmann::json::object();
    prepared.some.for_each([&](arch::FeatureId id) {
        features[fmt::format("{}", id.value)] = feature_json(prepared, id);
    });
    nlohmann::json types = nlohmann::json::array();
    // Types take room as well: a name, numbers, the words around them.
    constexpr std::size_t kTypeBytes = 150;
    std::size_t left = prepared.limits.name_bytes -
                       std::min(prepared.limits.name_bytes, prepared.types.size() * kTypeBytes);
    for (std::size_t i = 0; i < prepared.types.size(); ++i) types.push_back(type_json(prepared, i, left));
    const nlohmann::json data = {{"features", std::move(features)}, {"types", std::move(types)}};
    return inside_script(data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace cpulevel::report
