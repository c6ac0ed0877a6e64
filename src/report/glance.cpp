// The top of the page: what is the level, what does it cost, who holds it down.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "level/named.h"
#include "report/html.h"
#include "report/sections.h"

namespace cpulevel::report {

namespace {

constexpr std::size_t kHolders = 4;     // types listed under "who holds it down"
constexpr std::size_t kSteps = 3;
constexpr std::size_t kTypesInSentence = 4;
constexpr std::size_t kTypesInLadder = 2;
constexpr std::size_t kMostSteps = 10;  // of the ladder; arm64 has more

struct Cost {
    std::size_t kept = 0;    // features that programs can use and the level shows
    std::size_t alone = 0;   // lost, and back if one certain type were left out
    std::size_t shared = 0;  // lost to several types
    std::size_t untold = 0;  // nobody lacks it; a description does not tell of it, or of its layout
    std::size_t other = 0;   // no type's fault: never shown, or laid out differently
};

// Whose fault a loss is, dependencies followed to what they come from: a feature that needs what nobody tells of is not
// lost to a type.
level::LossReason root_of(const Prepared& prepared, const level::Loss& loss) {
    if (loss.reason != level::LossReason::closure) return loss.reason;
    bool untold = false, other = false;
    for (const arch::FeatureId id : loss.missing_needs) {
        const auto need = prepared.losses.find(id);
        if (need == prepared.losses.end()) {  // no type has it
            (prepared.report.level.undetermined.contains(id) ? untold : other) = true;
            continue;
        }
        const auto reason = root_of(prepared, *need->second);
        if (reason == level::LossReason::absent) return reason;
        (reason == level::LossReason::unknown ? untold : other) = true;
    }
    if (untold) return level::LossReason::unknown;
    return other ? level::LossReason::never : level::LossReason::absent;
}

Cost cost_of(const Prepared& prepared) {
    Cost cost{.kept = prepared.users(prepared.report.level.features)};
    arch::FeatureSet alone;
    for (const NodeType* type : prepared.types) alone |= type->gained_without;
    for (const auto& [id, loss] : prepared.losses) {
        if (!prepared.table[id].user) continue;
        const auto reason = root_of(prepared, *loss);
        if (alone.contains(id)) {
            ++cost.alone;
        } else if (reason == level::LossReason::absent && prepared.types.size() > 1) {
            ++cost.shared;
        } else if (reason == level::LossReason::unknown) {
            ++cost.untold;
        } else {
            ++cost.other;
        }
    }
    return cost;
}

std::string heading(const Prepared& prepared) {
    const arch::FeatureSet& features = prepared.report.level.features;
    const auto standard = level::best_standard_level(prepared.table, features);
    if (!standard) {
        return fmt::format("<h1>{} <small>in common, which is below every standard level</small></h1>",
                           count(prepared.users(features), "feature"));
    }
    arch::FeatureSet base;
    for (const arch::FeatureId id : prepared.table.find_level(*standard)->features) base.insert(id);
    const std::size_t more = prepared.users(features - base);
    return fmt::format("<h1>{}{}</h1>", escape(*standard),
                       more == 0 ? "" : fmt::format(" <small>and {} more feature{}</small>", more, more == 1 ? "" : "s"));
}

std::string share(std::size_t part, std::size_t whole) {
    const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
    return percent < 0.1 ? "less than 0.1%" : fmt::format("{:.{}f}%", percent, percent < 10 ? 1 : 0);
}

// One sentence for those who read no more.
std::string sentence(const Prepared& prepared, const Cost& cost) {
    const std::size_t lost = cost.alone + cost.shared + cost.untold + cost.other;
    std::string text = fmt::format("Programs levelled to this run on {}", prepared.nodes == 1
                                                                            ? std::string("the one node")
                                                                            : fmt::format("all {}", count(prepared.nodes, "node")));
    text += fmt::format(" ({}). ", count(prepared.types.size(), "CPU type"));
    if (lost == 0) return text + "Nothing is lost.";
    text += fmt::format("That costs <b>{}</b> that some node has and programs could use", count(lost, "feature"));
    const NodeType& worst = *prepared.types.front();
    const std::size_t alone = prepared.users(worst.gained_without);
    if (prepared.types.size() == 1) return text + ".";
    if (alone == 0) return text + "; leaving out any one CPU type would bring none of them back.";
    text += fmt::format("; <b>{}</b> of them are lost to one CPU type, <b>{}</b> ({}, {} of the fleet)", alone,
                        escape(prepared.names.front()), count(worst.count, "node"),
                        share(worst.count, prepared.nodes));
    const std::string then = level_name(prepared, prepared.report.level.features | worst.gained_without);
    if (then != level_name(prepared, prepared.report.level.features)) {
        text += fmt::format(": without it the level would be <b>{}</b>", escape(then));
    }
    return text + ".";
}

// Leaving out one type often brings back little, because another lacks the same. So: the first step of the way up that
// changes the name of the level, as a second sentence.
std::string way_up(const Prepared& prepared) {
    const std::string now = level_name(prepared, prepared.report.level.features);
    for (const Removal& step : prepared.report.steps) {
        const std::string then = level_name(prepared, prepared.report.level.features | step.gained);
        if (then == now || step.types.size() < 2) continue;
        std::vector<std::size_t> places;
        std::size_t nodes = 0;
        for (const std::size_t type : step.types) {
            places.push_back(prepared.place[type]);
            nodes += prepared.report.types[type].count;
        }
        std::ranges::sort(places);
        return fmt::format(" Without {} ({}, {} of the fleet) it would be <b>{}</b>, with {} more.",
                           some_types(prepared, places, kTypesInSentence), count(nodes, "node"), share(nodes, prepared.nodes),
                           escape(then), count(prepared.users(step.gained), "feature"));
    }
    return {};
}

std::string key(std::string_view kind, std::size_t number, std::string_view what) {
    if (number == 0) return {};
    return fmt::format(R"(<li><span class="dot {}" aria-hidden="true"></span><b>{}</b> {}</li>)", kind, number, what);
}

std::string cost_card(const Cost& cost) {
    const std::size_t whole = cost.kept + cost.alone + cost.shared + cost.untold + cost.other;
    std::string rects;
    double x = 0;
    const auto piece = [&](std::string_view kind, std::size_t number) {
        const double width = whole == 0 ? 0 : 100.0 * static_cast<double>(number) / static_cast<double>(whole);
        rects += fmt::format(R"(<rect class="{}" x="{:.2f}" width="{:.2f}" height="8"/>)", kind, x, width);
        x += width;
    };
    piece("kept", cost.kept);
    piece("alone", cost.alone);
    piece("shared", cost.shared);
    piece("untold", cost.untold);
    piece("other", cost.other);
    return fmt::format(
        R"(<section class="card" aria-labelledby="h-cost"><h2 id="h-cost">What it costs</h2>
<svg class="bar tall" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{}</svg>
<ul class="key">{}{}{}{}{}</ul>
<p class="quiet">Of the {} that some node has and programs can use.</p></section>
)",
        rects, key("kept", cost.kept, "kept"), key("alone", cost.alone, "lost to a single CPU type"),
        key("shared", cost.shared, "lost to several CPU types"),
        key("untold", cost.untold, "hidden because a description does not tell enough"),
        key("other", cost.other, "not shown, whoever has it"), count(whole, "feature"));
}

// Leaving out several: each step adds types to the ones before it.
std::string steps_list(const Prepared& prepared) {
    std::string rows;
    std::set<std::size_t> before;
    std::size_t shown = 0;
    for (const Removal& step : prepared.report.steps) {
        if (step.types.size() < 2) {
            before.insert(step.types.begin(), step.types.end());
            continue;  // told above
        }
        if (++shown > kSteps) break;
        std::vector<std::size_t> added;
        std::size_t nodes = 0;
        for (const std::size_t type : step.types) {
            nodes += prepared.report.types[type].count;
            if (!before.contains(type)) added.push_back(prepared.place[type]);
        }
        rows += fmt::format(R"(<li><span class="who">{}{} <span class="quiet">{}</span></span><span class="then">{}</span><b>{}</b></li>)",
                            before.empty() ? "" : "and ", some_types(prepared, added, 3), count(nodes, "node"),
                            escape(level_name(prepared, prepared.report.level.features | step.gained)),
                            prepared.users(step.gained));
        before.insert(step.types.begin(), step.types.end());
    }
    if (rows.empty()) return {};
    return fmt::format("<h3>Together</h3>\n<ol class=\"holders\">{}</ol>\n", rows);
}

std::string holders_card(const Prepared& prepared) {
    std::string rows;
    std::size_t costly = 0;
    const std::size_t most = prepared.types.empty() ? 0 : prepared.users(prepared.types.front()->gained_without);
    for (std::size_t i = 0; i < prepared.types.size(); ++i) {
        const NodeType& type = *prepared.types[i];
        const std::size_t alone = prepared.users(type.gained_without);
        if (alone == 0 || prepared.types.size() == 1) break;
        if (++costly > kHolders) continue;
        rows += fmt::format(
            R"(<li><span class="who"><bdi>{}</bdi> <span class="quiet">{}</span></span>{}<b>{}</b></li>)",
            escape(prepared.names[i]), count(type.count, "node"), bar(alone, most, "alone"), alone);
    }
    if (costly > kHolders) rows += fmt::format(R"(<li class="quiet">and {} more below</li>)", costly - kHolders);
    if (rows.empty()) {
        rows = prepared.types.size() == 1
                   ? "<li>There is one CPU type.</li>"
                   : "<li>No CPU type by itself: whatever is lost is lacking on two types at least.</li>";
    }
    const std::string explanation =
        fmt::format("<p class=\"quiet\">Features that the level would gain if {}.</p>",
                    prepared.report.steps.empty() ? "that type alone were left out"
                                                  : "that type alone, or these together, were left out");
    return fmt::format(
        R"(<section class="card" aria-labelledby="h-holders"><h2 id="h-holders">Who holds it down</h2>
<ol class="holders">{}</ol>
{}{}</section>
)",
        rows, steps_list(prepared), prepared.types.size() == 1 ? std::string{} : explanation);
}

std::string ladder_card(const Prepared& prepared) {
    struct Step {
        std::string_view name;
        std::size_t nodes = 0;
        bool ours = false;
        std::size_t untold = 0;              // nodes whose description does not tell
        std::vector<std::size_t> without{};  // types that lack some of it
    };
    std::vector<Step> steps;
    for (const arch::NamedLevel* named : level::standard_levels(prepared.table)) {
        arch::FeatureSet wants;
        for (const arch::FeatureId id : named->features) wants.insert(id);
        Step step{.name = named->name, .ours = wants.is_subset_of(prepared.report.level.features)};
        for (std::size_t i = 0; i < prepared.types.size(); ++i) {
            const NodeType& type = *prepared.types[i];
            if (wants.is_subset_of(type.features)) {
                step.nodes += type.count;
            } else if ((wants & type.known).is_subset_of(type.features)) {
                step.untold += type.count;
            } else {
                step.without.push_back(i);
            }
        }
        if (step.nodes > 0 || step.untold > 0 || prepared.report.level.architecture == arch::Architecture::x86_64) steps.push_back(step);
    }
    if (steps.empty()) return {};
    // The lowest steps of a long ladder are the ones that everybody has.
    while (steps.size() > kMostSteps && steps[1].nodes == prepared.nodes) steps.erase(steps.begin());
    std::string rows;
    for (const Step& step : steps) {
        std::string lacking = step.without.empty() || step.nodes == 0
                                  ? std::string{}
                                  : "not " + some_types(prepared, step.without, kTypesInLadder);
        if (step.untold > 0) {
            lacking += fmt::format("{}not known of {}", lacking.empty() ? "" : "; ", count(step.untold, "node"));
        }
        if (!lacking.empty()) lacking = fmt::format(R"(<span class="not quiet">{}</span>)", lacking);
        const std::string number = step.nodes == prepared.nodes                        ? "all"
                                   : step.nodes == 0 && step.untold == prepared.nodes ? "?"
                                                                                       : thousands(step.nodes);
        rows += fmt::format(R"(<li{}><span>{}</span>{}<b>{}</b>{}</li>)", step.ours ? R"( class="ours")" : "",
                            escape(step.name), bar(step.nodes, prepared.nodes, step.ours ? "kept" : "shared"),
                            number, lacking);
    }
    return fmt::format(
        R"(<section class="card" aria-labelledby="h-ladder"><h2 id="h-ladder">How many nodes reach</h2>
<ol class="ladder">{}</ol>
<p class="quiet">Nodes that have all of a standard level by themselves.</p></section>
)",
        rows);
}

}  // namespace

std::string glance_section(const Prepared& prepared) {
    const Cost cost = cost_of(prepared);
    return fmt::format(
        R"(<section class="glance" aria-labelledby="h-level">
<p class="eyebrow" id="h-level">The level <bdi>{}</bdi> <span class="tag">{}</span></p>
{}
<p class="lead">{}</p>
<div class="cards">
{}{}{}</div>
</section>)",
        text(prepared.report.level.name), arch::name(prepared.report.level.architecture), heading(prepared),
        sentence(prepared, cost) + way_up(prepared), cost_card(cost), holders_card(prepared), ladder_card(prepared));
}

}  // namespace cpulevel::report
