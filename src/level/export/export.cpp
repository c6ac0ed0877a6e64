#include "level/export/export.h"

#include <algorithm>
#include <array>

#include "level/export/format.h"
#include "util/text.h"

namespace cpulevel::level {

namespace {

constexpr std::array kFormats = {
    Format{"env", "all environment variables below, as a shell script", false, export_environment},
    Format{"glibc", "GLIBC_TUNABLES: what glibc's loader and string functions use", true, export_glibc},
    Format{"openssl", "OPENSSL_ia32cap or OPENSSL_armcap", true, export_openssl},
    Format{"go", "GODEBUG=cpu.X=off for programs built by Go", true, export_go},
    Format{"java", "JAVA_TOOL_OPTIONS for OpenJDK", true, export_java},
    Format{"numpy", "NPY_DISABLE_CPU_FEATURES", true, export_numpy},
    Format{"openblas", "OPENBLAS_CORETYPE", true, export_openblas},
    Format{"mkl", "MKL_ENABLE_INSTRUCTIONS", true, export_mkl},
    Format{"onednn", "ONEDNN_MAX_CPU_ISA", true, export_onednn},
    Format{"crac", "-XX:CPUFeatures for OpenJDK with CRaC", false, export_crac},
    Format{"node", "V8 options for the command line of node", false, export_node},
    Format{"rr", "--disable-cpuid-features for rr record", false, export_rr},
    Format{"gvisor", "the cpufeatures annotation of gVisor", false, export_gvisor},
    Format{"qemu", "the value of -cpu for QEMU", false, export_qemu},
    Format{"libvirt", "a <cpu> element for libvirt domains", false, export_libvirt},
    Format{"gcc", "-march and -m for gcc", false, export_gcc},
    Format{"clang", "-march and -m for clang", false, export_clang},
    Format{"nfd", "a local feature file for Node Feature Discovery", false, export_nfd},
    Format{"kubernetes", "a nodeAffinity stanza on labels of Node Feature Discovery", false, export_kubernetes},
};

// Formats that are told by another one's names.
std::string_view tool_of(std::string_view format) { return format == "kubernetes" ? "nfd" : format; }

}  // namespace

std::span<const Format> formats() { return kFormats; }

const Format* find_format(std::string_view name) {
    const auto* const found = std::ranges::find(kFormats, name, &Format::name);
    return found == kFormats.end() ? nullptr : found;
}

std::vector<std::string_view> formats_for(arch::Architecture architecture) {
    std::vector<std::string_view> found;
    bool variables = false;
    for (const Format& format : kFormats) {
        if (find_tool(tool_of(format.name), architecture) == nullptr) continue;
        found.push_back(format.name);
        variables = variables || format.variable;
    }
    if (variables) found.insert(found.begin(), "env");
    return found;
}

Result<Export> export_level(const Level& level, std::string_view format, const ExportOptions& options) {
    const Format* const found = find_format(format);
    if (found == nullptr) {
        std::vector<std::string_view> known;
        for (const Format& one : kFormats) known.push_back(one.name);
        const auto near = nearest(format, known);
        return usage_error("unknown format", printable(format), {},
                           near.empty() ? "`cpulevel export --list` lists them"
                                        : "did you mean " + std::string(near.front()) + "?");
    }
    for (const auto& [tool, version] : options.versions) {
        if (std::ranges::none_of(tools(), [&](const Tool& one) { return one.name == tool; })) {
            return usage_error("unknown tool", printable(tool), {}, "the name of a format, as in --for glibc=2.31");
        }
    }
    return found->make(level, options);
}

}  // namespace cpulevel::level
