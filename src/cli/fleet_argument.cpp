#include "cli/fleet_argument.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/style.h"
#include "cli/view_types.h"

namespace cpulevel::cli {
namespace {

bool is_file_like(const std::string& word) {
    struct stat status{};
    return word == "-" || word.find('/') != std::string::npos || word.ends_with(".json") ||
           ::stat(word.c_str(), &status) == 0;
}

// A bar on standard error, where that is a terminal; nothing for what takes no time.
class Progress {
   public:
    void operator()(std::size_t done, std::size_t total) {
        if (!terminal_ || std::chrono::steady_clock::now() - started_ < std::chrono::milliseconds(300)) return;
        const std::size_t width = std::clamp<std::size_t>(terminal_width(STDERR_FILENO), 40, 100) - 36;
        std::string bar;
        if (total > 0) {
            const std::size_t filled = std::min(done, total) * width / total;
            bar = "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] ";
        }
        fmt::print(stderr, "\r{}{} read{}\x1b[K", bar, with_commas(done), total > 0 ? " of " + with_commas(total) : "");
        std::fflush(stderr);
        drawn_ = true;
    }
    ~Progress() {
        if (drawn_) fmt::print(stderr, "\r\x1b[K");
    }

   private:
    bool terminal_ = ::isatty(STDERR_FILENO) != 0;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace

Result<intake::Gathered> fleet_arguments(const std::vector<std::string>& words, bool keep_going) {
    std::vector<intake::Source> sources;
    for (const std::string& word : words) {
        if (is_file_like(word)) {
            sources.emplace_back(word);
            continue;
        }
        auto node = node_argument(word);
        if (!node) return std::unexpected(node.error());
        sources.emplace_back(*std::move(node));
    }
    Result<intake::Gathered> gathered;
    {
        Progress progress;
        intake::GatherOptions options;
        options.keep_going = keep_going;
        options.progress = [&progress](std::size_t done, std::size_t total) { progress(done, total); };
        gathered = intake::gather(sources, options);
    }
    if (!gathered) return gathered;
    for (const Error& fault : gathered->faults) print_error(fault);
    if (gathered->fault_count > gathered->faults.size()) {
        print_warning(fmt::format("and {} more that could not be read", gathered->fault_count - gathered->faults.size()));
    }
    if (gathered->cut_count > 0) print_warning(missing_warnings(gathered->cut_count, gathered->cut_count).front());
    if (gathered->links_skipped > 0) {
        print_warning(fmt::format("{} passed over: links in folders and archives are not followed",
                                  plural(gathered->links_skipped, "link")));
    }
    if (gathered->others_skipped > 0) {
        print_warning(fmt::format("{} passed over", plural(gathered->others_skipped, "pipe, socket or device", "pipes, sockets and devices")));
    }
    if (gathered->fleet.types.empty()) {
        if (gathered->fault_count > 0) return usage_error("none of the descriptions can be read");
        return usage_error("no nodes are given");
    }
    return gathered;
}

std::vector<std::string> missing_warnings(std::size_t faults, std::size_t cuts) {
    std::vector<std::string> warnings;
    if (cuts > 0) {
        warnings.push_back(fmt::format("{} could not be read to the end: the rest is missing, and an unknown number of "
                                       "nodes with it",
                                       plural(cuts, "archive, list or folder", "archives, lists or folders")));
    }
    if (faults > cuts) {
        warnings.push_back(
            fmt::format("{} could not be read; the level is of the others", plural(faults - cuts, "description")));
    }
    return warnings;
}

std::vector<profile::NodeProfile> nodes_to_meet(const intake::Gathered& gathered) {
    if (gathered.type_of.size() > kMostSingly) return fleet::representatives(gathered.fleet);
    std::vector<profile::NodeProfile> nodes;
    std::vector<std::size_t> used(gathered.fleet.types.size(), 0);
    for (const std::uint32_t type : gathered.type_of) {
        nodes.push_back(gathered.fleet.types[type].profile);
        nodes.back().name = gathered.fleet.types[type].nodes[used[type]++];
    }
    return nodes;
}

}  // namespace cpulevel::cli
