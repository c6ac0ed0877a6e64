#include "profile/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/import/format.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

// In the order in which they are tried: from the one that cannot be mistaken to the most lenient.
// JSON that no other of them claims is ours: the strict reader says best what is wrong with it.
constexpr std::array<const import::Format*, 14> kFormats{
    &import::kCriu,     &import::kLscpu,     &import::kQemu,    &import::kKubernetes,
    &import::kOurJson,  &import::kLibvirt,   &import::kCpuidTool, &import::kLibcpuid,
    &import::kInstLatx64, &import::kCpuinfo, &import::kSysctl, &import::kCpuidNumbers,
    &import::kRunsc,    &import::kArchspec};

std::string formats_text() {
    std::vector<std::string> all;
    for (const import::Format* format : kFormats) all.emplace_back(format->name);
    return join(all, ", ");
}

Result<const import::Format*> choose(std::string_view text, const std::string& name,
                                     const std::optional<std::string>& from) {
    if (from) {
        const auto named = std::ranges::find(kFormats, std::string_view(*from),
                                             [](const import::Format* format) { return format->name; });
        if (named != kFormats.end()) return *named;
        std::vector<std::string_view> candidates;
        for (const import::Format* format : kFormats) candidates.push_back(format->name);
        const auto near = nearest(*from, candidates, 1);
        return usage_error("unknown format", "\"" + printable(*from, 40) + "\"", "known are " + formats_text(),
                           near.empty() ? "" : fmt::format("did you mean \"{}\"?", near.front()));
    }
    if (trim(text).empty()) return usage_error("cannot import", name, "the file is empty");
    const auto found =
        std::ranges::find_if(kFormats, [&](const import::Format* format) { return format->recognises(text); });
    if (found == kFormats.end()) {
        return usage_error("cannot import", name, "not a format that cpulevel knows",
                           "known are " + formats_text() + "; a format can be named with --from");
    }
    return *found;
}

// Text editors on other systems put a byte order mark first.
std::string_view without_mark(std::string_view text) {
    constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
    if (text.starts_with(kUtf8Mark)) text.remove_prefix(kUtf8Mark.size());
    return text;
}

}  // namespace

std::vector<ImportFormat> import_formats() {
    std::vector<ImportFormat> all;
    for (const import::Format* format : kFormats) all.push_back({format->name, format->title});
    return all;
}

Result<std::vector<NodeProfile>> import_text(std::string_view text, std::string name,
                                             std::optional<std::string> from) {
    text = without_mark(text);
    const auto format = choose(text, name, from);
    if (!format) return std::unexpected(format.error());
    return (*format)->read(text, name);
}

Result<std::vector<Result<NodeProfile>>> import_each(std::string_view text, const std::string& name) {
    text = without_mark(text);
    const auto format = choose(text, name, std::nullopt);
    if (!format) return std::unexpected(format.error());
    if ((*format)->read_each != nullptr) return (*format)->read_each(text, name);
    auto nodes = (*format)->read(text, name);
    if (!nodes) return std::unexpected(nodes.error());
    std::vector<Result<NodeProfile>> each;
    for (NodeProfile& node : *nodes) each.emplace_back(std::move(node));
    return each;
}

Result<NodeProfile> load_profile(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    const auto slash = path.rfind('/');
    auto profiles = import_text(*text, slash == std::string::npos ? path : path.substr(slash + 1));
    if (!profiles) return std::unexpected(profiles.error());
    if (profiles->size() != 1) {
        return usage_error("cannot read the profile", path, fmt::format("it describes {} nodes", profiles->size()),
                           "split it with `cpulevel import`");
    }
    return std::move(profiles->front());
}

}  // namespace cpulevel::profile
