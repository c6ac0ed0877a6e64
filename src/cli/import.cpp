// `cpulevel import`: foreign descriptions of machines as profiles.
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/view.h"
#include "profile/import.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::vector<std::string> files;
    std::string from;
    std::string output;
    std::string name;
    bool json = false;
    bool all = false;
};

using Nodes = std::vector<profile::NodeProfile>;

bool is_folder(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<Nodes> import_files(const Options& options) {
    Nodes all;
    for (const std::string& file : options.files) {
        const auto text = read_file(file);
        if (!text) return std::unexpected(text.error());
        std::optional<std::string> from;
        if (!options.from.empty()) from = options.from;
        auto nodes = profile::import_text(*text, file == "-" ? "standard input" : file, from);
        if (!nodes) return std::unexpected(nodes.error());
        std::ranges::move(*nodes, std::back_inserter(all));
    }
    if (!options.name.empty()) {
        if (all.size() != 1) {
            return usage_error("--name is for one node", {}, fmt::format("the files describe {}", all.size()));
        }
        all.front().name = options.name;
    }
    return all;
}

// A node's name as a file name: it came out of a file and must not lead out of the folder.
std::string file_name(const std::string& node) {
    std::string result;
    const auto slash = node.rfind('/');
    for (const char c : slash == std::string::npos ? node : node.substr(slash + 1)) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '.';
        result += plain ? c : '_';
    }
    if (result.empty() || result.starts_with('.')) result = "node" + result;
    for (const std::string_view end : {".txt", ".test", ".dump", ".json"}) {
        if (result.ends_with(end)) result.resize(result.size() - end.size());
    }
    return result + ".json";
}

Result<void> write_each(const Nodes& nodes, const std::string& folder) {
    std::set<std::string> taken;
    for (const profile::NodeProfile& node : nodes) {
        const std::string name = file_name(node.name);
        if (!taken.insert(name).second) {
            return usage_error("two nodes would be written to the same file", folder + "/" + name);
        }
    }
    for (const profile::NodeProfile& node : nodes) {
        if (auto written = write_file_atomically(folder + "/" + file_name(node.name), json_text(node)); !written)
            return written;
    }
    return {};
}

std::string summary(const Nodes& nodes, const View& view) {
    Table rows({"node", "level", "features", "unknown", "CPU", "from"}, 0);
    rows.align(2, Align::right).align(3, Align::right);
    for (const profile::NodeProfile& node : nodes) {
        rows.add_row({safe(node.name), reached_cell(arch::table(node.architecture), node.features, node.known), fmt::format("{}", node.features.size()),
                      fmt::format("{}", (arch::table(node.architecture).all() - node.known).size()),
                      safe(trim(node.identity.brand)), safe(node.origin)});
    }
    return rows.text(view.style, view.width);
}

std::string printed(const Nodes& nodes, const Options& options) {
    const View view = View::of_standard_output(options.all);
    if (nodes.size() == 1) return options.json ? json_text(nodes.front()) : describe(nodes.front(), view);
    if (!options.json) return summary(nodes, view);
    nlohmann::json list = nlohmann::json::array();
    for (const profile::NodeProfile& node : nodes) list.push_back(nlohmann::json::parse(json_text(node)));
    return to_text(list);
}

Result<int> import(const Options& options) {
    const auto nodes = import_files(options);
    if (!nodes) return std::unexpected(nodes.error());
    if (!options.output.empty()) {
        Result<void> written;
        if (is_folder(options.output)) {
            written = write_each(*nodes, options.output);
        } else if (nodes->size() == 1) {
            written = write_output(options.output, json_text(nodes->front()));
        } else {
            written = usage_error("several profiles cannot go into one file", options.output,
                                  fmt::format("there are {}", nodes->size()), "give -o an existing folder");
        }
        if (!written) return std::unexpected(written.error());
        if (options.output == "-") return 0;
    }
    if (auto written = write_standard_output(printed(*nodes, options)); !written)
        return std::unexpected(written.error());
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    std::vector<std::string> formats;
    for (const profile::ImportFormat& format : profile::import_formats()) formats.emplace_back(format.name);
    app.add_option("FILE", options->files, "Descriptions to import; - is standard input")
        ->required()
        ->type_name("FILE");
    app.add_option("--from", options->from, "The format, if its content is not to decide")
        ->check(CLI::IsMember(formats));
    app.add_option("-o,--output", options->output, "Write the profile to FILE, or each to a file in that folder")
        ->type_name("FILE");
    app.add_option("--name", options->name, "How messages call the node")->type_name("NAME");
    app.add_flag("--json", options->json, "Print the profile as JSON instead of a table");
    app.add_flag("--all", options->all, "Show also the features that only a kernel can use");
    return [options](const Invocation&) { return import(*options); };
}

const Registration kRegistration(
    {.name = "import",
     .order = 20,
     .summary = "Make a profile of a foreign description of a machine",
     .details =
         "For machines on which cpulevel cannot run: what other tools printed there is enough. What a source does not "
         "tell (most have no signal stack, /proc/cpuinfo has no XSAVE layout) is noted, and a level made of it says "
         "so.\n"
         "Formats: json, a profile of ours; cpuid, what `cpuid -r` prints; libcpuid, a raw dump of `cpuid_tool`; "
         "instlatx64, a dump of InstLatx64 or AIDA64; numbers, lines of leaf, subleaf and four registers; cpuinfo, /proc/cpuinfo of x86, arm64, s390x, ppc64le, riscv64 or "
         "LoongArch; lscpu, `lscpu --json`; libvirt, <cpudata>, `virsh capabilities`, `virsh domcapabilities` or <cpu>; "
         "qemu, answers of query-cpu-model-expansion; criu, cpuinfo.img; nfd, `kubectl get nodes -o json` or `kubectl get "
         "nodefeatures -A -o json` with labels of Node Feature Discovery; runsc, `runsc cpu-features`; archspec, names of "
         "microarchitectures, one a line; sysctl, `sysctl machdep.cpu hw.optional` of macOS. nfd, qemu and archspec may describe many nodes in one file.",
     .examples = "  cpuid -r > node9.txt; cpulevel import node9.txt -o node9.json\n"
                 "  cpulevel import --from cpuinfo - < /proc/cpuinfo\n"
                 "  kubectl get nodes -o json | cpulevel import - -o profiles/\n"
                 "  cpulevel import dumps/*.txt -o profiles/      a folder: one file per node\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
