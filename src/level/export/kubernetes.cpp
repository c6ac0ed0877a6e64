// A nodeAffinity stanza that lets a pod start only on nodes that have the level, as far as the labels of Node Feature
// Discovery tell. By default it publishes no labels for many common features: these are left out, or no node would match.
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/labels.h"
#include "level/export/tool_view.h"

namespace cpulevel::level {

namespace {

// As the kubelet labels nodes (Go's name).
std::string_view kubernetes_name(arch::Architecture architecture) {
    switch (architecture) {
        case arch::Architecture::x86_64: return "amd64";
        case arch::Architecture::aarch64: return "arm64";
        default: return arch::name(architecture);
    }
}

std::string expression(std::string_view key, std::string_view value) {
    return fmt::format("      - key: {}\n        operator: In\n        values: [\"{}\"]\n", key, value);
}

}  // namespace

Result<Export> export_kubernetes(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("nfd", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->showing({});
    result.text =
        "nodeAffinity:\n"
        "  requiredDuringSchedulingIgnoredDuringExecution:\n"
        "    nodeSelectorTerms:\n"
        "    - matchExpressions:\n";
    result.text += expression("kubernetes.io/arch", kubernetes_name(level.architecture));
    for (const std::string& name : view->names_to_show()) {
        result.text += expression("feature.node.kubernetes.io/cpu-cpuid." + name, "true");
    }
    result.notes.push_back(fmt::format(
        "nodes are asked only for what NFD publishes by default; exact is one label of nodes that were checked, "
        "feature.node.kubernetes.io/{}, from `cpulevel export --to nfd`",
        level_label(level)));
    return result;
}

}  // namespace cpulevel::level
