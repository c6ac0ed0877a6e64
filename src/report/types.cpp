// The types of nodes with what each costs, and the pools that the fleet could be divided into.
#include <fmt/format.h>

#include <algorithm>

#include "level/named.h"
#include "report/html.h"
#include "report/sections.h"
#include "util/text.h"

namespace cpulevel::report {

namespace {

constexpr std::size_t kNamesInCell = 14;  // features named in a cell; the matrix has them all
constexpr std::size_t kTypesInPool = 12;  // types named in a pool

std::string some_names(const Prepared& prepared, const arch::FeatureSet& set) {
    std::vector<std::string> names;
    set.for_each([&](arch::FeatureId id) { names.emplace_back(prepared.table[id].name); });
    const std::size_t more = names.size() - std::min(names.size(), kNamesInCell);
    names.resize(names.size() - more);
    std::string text = escape(join(names, " "));
    if (more > 0) text += fmt::format(" <span class=\"quiet\">and {} more</span>", more);
    return text;
}

std::string type_row(const Prepared& prepared, std::size_t index) {
    const NodeType& type = *prepared.types[index];
    const arch::FeatureSet gained = type.gained_without & prepared.usable;
    const std::size_t unknown = prepared.users(prepared.some - type.known);
    const std::size_t most = prepared.users(prepared.types.front()->gained_without);
    std::string costs = R"(<td class="num quiet">0<td class="wide">)";
    if (!gained.empty() && prepared.types.size() > 1) {
        const std::string now = level_name(prepared, prepared.report.level.features);
        const std::string then = level_name(prepared, prepared.report.level.features | type.gained_without);
        costs = fmt::format(R"(<td class="num"><b>{}</b>{}<td class="wide">{}{} <span class="mono quiet">+ {}</span>)",
                            gained.size(), bar(gained.size(), most, "alone"), then == now ? "still " : "", escape(then),
                            some_names(prepared, gained));
    }
    const std::string full = visible(type.cpu);
    return fmt::format(
        R"(<tr data-t="{}"><th scope="row"><bdi>{}</bdi>{}<td class="num">{}<td>{}<td class="num">{}{}{}
)",
        index, escape(prepared.names[index]),
        full == prepared.names[index] || full.empty() ? "" : fmt::format(R"(<small><bdi>{}</bdi></small>)", escape(full)),
        thousands(type.count), escape(level_name(prepared, type.features)), prepared.users(type.features),
        unknown == 0 ? "" : fmt::format(R"( <span class="unknown" title="not told by the description">+{}?</span>)", unknown),
        costs);
}

std::string pool_rows(const Prepared& prepared, const Split& split) {
    std::string rows;
    std::size_t number = 0;
    for (const Pool& pool : split.pools) {
        std::size_t nodes = 0;
        std::vector<std::size_t> members;
        for (const std::size_t type : pool.types) {
            nodes += prepared.report.types[type].count;
            members.push_back(prepared.place[type]);
        }
        std::ranges::sort(members);
        std::string who;
        for (std::size_t i = 0; i < members.size() && i < kTypesInPool; ++i) {
            who += fmt::format(R"({}<bdi>{}</bdi> <span class="quiet">({})</span>)", i == 0 ? "" : ", ",
                               escape(prepared.names[members[i]]),
                               thousands(prepared.types[members[i]]->count));
        }
        if (members.size() > kTypesInPool) who += fmt::format(" and {} more types", members.size() - kTypesInPool);
        const std::size_t features = prepared.users(pool.features);
        const std::size_t before = prepared.users(prepared.report.level.features);
        rows += fmt::format(
            R"(<tr>{}<td>{}<td class="num">{}<td>{}<td class="num">{}<td class="num">{}<td class="wide">{}
)",
            number == 0 ? fmt::format(R"(<th scope="rowgroup" rowspan="{}">{}{})", split.pools.size(),
                                      count(split.pools.size(), "pool"),
                                      split.exact ? "" : "<small>the best that was found</small>")
                        : "",
            static_cast<char>('A' + number % 26), thousands(nodes), escape(level_name(prepared, pool.features)),
            features, features > before ? fmt::format("+{}", features - before) : "0", who);
        ++number;
    }
    return rows;
}

}  // namespace

std::string types_section(const Prepared& prepared) {
    std::string rows;
    const std::size_t shown = std::min(prepared.types.size(), prepared.limits.type_rows);
    for (std::size_t i = 0; i < shown; ++i) rows += type_row(prepared, i);
    std::string more;
    if (shown < prepared.types.size()) {
        std::size_t nodes = 0;
        for (std::size_t i = shown; i < prepared.types.size(); ++i) nodes += prepared.types[i]->count;
        more = fmt::format(
            "<p class=\"cut\">{} with {} are not in this table: those that cost least. Their nodes can be found below.</p>\n",
            count(prepared.types.size() - shown, "more type"), count(nodes, "node"));
    }
    return fmt::format(
        R"(<section id="types" tabindex="-1" aria-labelledby="h-types">
<h2 id="h-types">CPU types <span class="quiet">{}</span></h2>
<p class="about">Nodes with the same CPU and the same features are one type. What costs most is first.</p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="h-types">
<table class="list"><thead><tr><th scope="col">CPU type<th scope="col" class="num">Nodes<th scope="col">Has by itself<th scope="col" class="num">Features<th scope="col" class="num">Alone costs<th scope="col">Without it the level is
<tbody>
{}</table></div>
{}</section>)",
        thousands(prepared.types.size()), rows, more);
}

std::string pools_section(const Prepared& prepared) {
    if (prepared.report.splits.empty()) return {};
    std::string rows;
    for (const Split& split : prepared.report.splits) {
        rows += fmt::format("<tbody>\n{}", pool_rows(prepared, split));
    }
    return fmt::format(
        R"(<section id="pools" tabindex="-1" aria-labelledby="h-pools">
<h2 id="h-pools">In pools</h2>
<p class="about">Divided into pools with a level each, programs move within a pool only, and keep more features.</p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="h-pools">
<table class="list pools"><thead><tr><th scope="col">Divided into<th scope="col">Pool<th scope="col" class="num">Nodes<th scope="col">Level<th scope="col" class="num">Features<th scope="col" class="num">Gained<th scope="col">CPU types (nodes)
{}</table></div>
</section>)",
        rows);
}

}  // namespace cpulevel::report
