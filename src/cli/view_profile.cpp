#include <fmt/format.h>

#include "cli/view.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

std::string identity_text(const profile::Identity& identity, arch::Architecture architecture) {
    std::string text =
        safe(identity.brand.empty() ? std::string("(no brand string)") : std::string(trim(identity.brand)));
    if (architecture == arch::Architecture::x86_64) {
        text += fmt::format("  (family {}, model {}, stepping {})", identity.family, identity.model, identity.stepping);
    }
    return text;
}

std::string xsave_text(const profile::XsaveLayout& xsave) {
    if (xsave.xcr0 == 0) return "none: the CPU has no XSAVE";
    std::string text = byte_count(xsave.standard_size);
    if (xsave.compacted_size != 0) text += fmt::format(", compacted {}", byte_count(xsave.compacted_size));
    text += fmt::format("; {} {:#x}: {}", xsave.xcr0_enabled ? "XCR0" : "supported components", xsave.xcr0,
                        component_names(xsave.xcr0));
    return text;
}

std::string cpus_text(const profile::NodeProfile& node) {
    if (node.cpus.empty()) return "not in this description";
    std::vector<std::string> groups;
    for (const profile::CpuGroup& group : node.cpus) groups.push_back(safe(group.cpus));
    if (groups.size() == 1) return groups.front() + (node.origin == "scan" ? ", all alike" : "");
    return join(groups, " / ") + fmt::format("  ({} kinds that answer differently)", groups.size());
}

std::string faulting_text(const std::optional<bool>& works) {
    if (!works) return "not known (tried by `cpulevel scan` only, on the machine itself)";
    return *works ? "works" : "not available: a program that executes CPUID sees the real CPU";
}

}  // namespace

std::string describe(const profile::NodeProfile& node, const View& view) {
    const arch::FeatureTable& table = arch::table(node.architecture);
    const bool x86 = node.architecture == arch::Architecture::x86_64;
    Table facts({"", ""}, 0);
    facts.add_row({"node", view.style.strong(safe(node.name))});
    facts.add_row({"CPU", identity_text(node.identity, node.architecture)});
    facts.add_row({"vendor", safe(node.identity.vendor)});
    facts.add_row({"architecture", std::string(arch::name(node.architecture))});
    const auto product = best_product_level(table, node.features);
    const std::string reached = reached_text(table, node.features, node.known);
    facts.add_row({"level", (best_named_level(table, node.features) ? view.style.good(reached) : reached) +
                                (product ? fmt::format(", with all of {}", *product) : std::string{})});
    facts.add_row({"CPUs", cpus_text(node)});
    if (!node.kernel.empty()) facts.add_row({"kernel", safe(node.kernel)});
    if (!node.hypervisor.empty()) facts.add_row({"hypervisor", safe(node.hypervisor)});
    if (x86) facts.add_row({"XSAVE area", node.xsave ? xsave_text(*node.xsave) : "not known"});
    facts.add_row({"signal stack", node.minimum_signal_stack
                                       ? byte_count(*node.minimum_signal_stack) + " at least (AT_MINSIGSTKSZ)"
                                       : "not known"});
    if (x86) facts.add_row({"CPUID faulting", faulting_text(node.cpuid_faulting)});
    for (std::size_t word = 0; word < node.hwcap.size(); ++word) {
        if (!node.hwcap[word]) continue;
        facts.add_row(
            {word == 0 ? "AT_HWCAP" : fmt::format("AT_HWCAP{}", word + 1), fmt::format("{:#x}", *node.hwcap[word])});
    }
    for (const auto& [name, value] : node.registers) facts.add_row({safe(name), fmt::format("{:#x}", value)});
    facts.add_row({"from", safe(node.origin)});

    std::string text = facts.text(view.style, view.width);
    text += "\n" + heading(view, features_heading(table, node.features, view));
    text += features_by_group(table, node.features, view);
    const auto unknown = table.all() - node.known;
    if (!unknown.empty()) {
        text += "\n" + heading(view, fmt::format("Not known ({})", unknown.size()));
        text += features_by_group(table, unknown, view);
    }
    if (!node.notes.empty()) text += "\n" + heading(view, "Notes") + bullets(node.notes, view);
    return text;
}

}  // namespace cpulevel::cli
