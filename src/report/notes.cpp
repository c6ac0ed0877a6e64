// What else one must know: sizes that programs have to provide for, what no description tells, what the level cannot
// promise.
#include <fmt/format.h>

#include <algorithm>

#include "report/html.h"
#include "report/sections.h"

namespace cpulevel::report {

namespace {

constexpr std::size_t kMostWarnings = 40;
constexpr std::size_t kLongestWarning = 600;  // characters
constexpr std::size_t kTypesNamed = 20;

std::string largest(std::string_view what, const std::optional<level::Largest>& value) {
    if (!value) return fmt::format("<dt>{}<dd>not known\n", what);
    const std::string whose =
        value->node == "data" ? "the largest of any CPU known" : "of <bdi>" + text(value->node) + "</bdi>";
    return fmt::format("<dt>{}<dd>{} bytes, {}\n", what, thousands(value->bytes), whose);
}

std::string unknown_text(const Prepared& prepared) {
    const arch::FeatureSet unknown = prepared.report.level.undetermined & prepared.usable;
    if (unknown.empty()) return {};
    std::string who;
    std::size_t number = 0;
    for (std::size_t i = 0; i < prepared.types.size(); ++i) {
        const std::size_t untold = prepared.users(prepared.report.level.undetermined - prepared.types[i]->known);
        if (untold == 0 || ++number > kTypesNamed) continue;
        who += fmt::format("<li><bdi>{}</bdi> ({}): {} not told", escape(prepared.names[i]),
                           count(prepared.types[i]->count, "node"), count(untold, "feature"));
    }
    if (number > kTypesNamed) who += fmt::format("<li>and {} more types", number - kTypesNamed);
    std::string names;
    unknown.for_each([&](arch::FeatureId id) {
        names += (names.empty() ? "" : " ") + escape(prepared.table[id].name);
    });
    return fmt::format(
        "<h3>To be certain</h3>\n<p>{} hidden only because a description does not tell whether the CPU has {}: "
        "<span class=\"mono\">{}</span>. <code>cpulevel scan</code> on a node of each of these types would tell:</p>\n<ul>{}</ul>\n",
        unknown.size() == 1 ? "One feature is" : fmt::format("{} are", count(unknown.size(), "feature")),
        unknown.size() == 1 ? "it" : "them", names, who);
}

}  // namespace

std::string notes_section(const Prepared& prepared) {
    const Report& report = prepared.report;
    std::string sizes;
    if (report.level.architecture == arch::Architecture::x86_64) sizes += largest("Largest XSAVE area", report.xsave_area);
    sizes += largest("Largest signal stack", report.signal_stack);
    std::string warnings;
    for (std::size_t i = 0; i < report.level.warnings.size() && i < kMostWarnings; ++i) {
        warnings += "<li>" + text(report.level.warnings[i], kLongestWarning) + "\n";
    }
    if (report.level.warnings.size() > kMostWarnings) {
        warnings += fmt::format("<li>and {} more: <code>cpulevel baseline</code> prints them\n",
                                report.level.warnings.size() - kMostWarnings);
    }
    if (!warnings.empty()) warnings = "<h3>What the level cannot promise</h3>\n<ul>" + warnings + "</ul>\n";
    return fmt::format(
        R"(<section id="notes" aria-labelledby="h-notes">
<h2 id="h-notes">Notes</h2>
<h3>What programs must provide for</h3>
<dl>{}</dl>
{}{}</section>)",
        sizes, unknown_text(prepared), warnings);
}

}  // namespace cpulevel::report
