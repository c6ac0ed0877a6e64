// A file for the "local" source of Node Feature Discovery (/etc/kubernetes/node-feature-discovery/features.d): lines of
// NAME=VALUE, which become labels feature.node.kubernetes.io/NAME of the node. To be put on nodes that have the level.
// The source skips files whose name begins with a dot: a file is written under such a name, and then renamed.
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/labels.h"
#include "level/export/tool_view.h"

namespace cpulevel::level {

namespace {

constexpr std::size_t kLongestLabel = 63;  // of the part behind the slash (Kubernetes, "Labels and Selectors")

bool fits(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

std::string level_label(const Level& level) {
    std::string label = "cpulevel-level.";
    for (const char c : level.name) label += fits(c) ? c : '_';
    if (label.size() > kLongestLabel) label.resize(kLongestLabel);
    // It has to end in a letter or digit.
    while (label.back() == '-' || label.back() == '_' || label.back() == '.') label.pop_back();
    return label;
}

Result<Export> export_nfd(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("nfd", level, options);
    if (!view) return std::unexpected(view.error());
    Export result;
    result.text = level_label(level) + "=true\n";
    for (const std::string& name : names(view->table(), for_programs(view->table(), level.features))) {
        result.text += fmt::format("cpulevel-feature.{}=true\n", name);
    }
    result.notes.emplace_back("a statement about a node: put it only on nodes that `cpulevel compare` says have the level");
    return result;
}

}  // namespace cpulevel::level
