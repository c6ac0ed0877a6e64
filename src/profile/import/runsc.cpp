// `runsc cpu-features` of gVisor: one line of names with commas, those of /proc/cpuinfo. gVisor names every bit of the
// CPUID words that Linux prints in full, OSXSAVE among them, and of leaf 7 ECX those that it knows; so a missing name of
// the former is a "no", of anything else unknown. Source: gVisor pkg/cpuid/features_amd64.go, runsc/cmd/cpu_features.go.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/import/format.h"
#include "profile/import/tool_names.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

constexpr std::array kSynonyms{Synonym{"clfushopt", "clflushopt"}, Synonym{"ipt", "intel_pt"},
                               Synonym{"fpcsds", "zero_fcs_fds"}, Synonym{"pn", "pn"}};
constexpr std::size_t kMostNames = 1000;

std::vector<std::string_view> names_in(std::string_view text) {
    std::vector<std::string_view> words;
    for (const std::string_view word : split(trim(text), ',')) words.push_back(trim(word));
    return words;
}

std::size_t known_of(const arch::FeatureTable& table, std::span<const std::string_view> words) {
    return static_cast<std::size_t>(
        std::ranges::count_if(words, [&](std::string_view word) { return find_feature(table, word, kSynonyms).has_value(); }));
}

arch::Architecture architecture_of(std::span<const std::string_view> words) {
    const auto x86 = known_of(arch::table(arch::Architecture::x86_64), words);
    const auto arm = known_of(arch::table(arch::Architecture::aarch64), words);
    return arm > x86 ? arch::Architecture::aarch64 : arch::Architecture::x86_64;
}

bool recognises(std::string_view text) {
    text = trim(text);
    if (text.size() > kMostNames * 32 || text.find(',') == std::string_view::npos) return false;
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_,";
    if (text.find_first_not_of(kAllowed) != std::string_view::npos) return false;
    const auto words = names_in(text);
    return words.size() <= kMostNames && known_of(arch::table(architecture_of(words)), words) * 2 > words.size();
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    const auto words = names_in(text);
    if (words.size() > kMostNames) return usage_error("cannot import", name, "absurdly many features");
    // Half of the list would make of the other half what this CPU does not have.
    if (!text.ends_with('\n')) {
        return usage_error("cannot import", name, "the list may have been cut: `runsc cpu-features` ends it with a newline",
                           "if it is whole, put one at its end");
    }
    NodeProfile profile;
    profile.name = printable(name);
    profile.origin = "runsc cpu-features";
    profile.architecture = architecture_of(words);
    const auto& table = arch::table(profile.architecture);
    std::vector<std::string> strange;
    for (const std::string_view word : words) {
        if (const auto id = find_feature(table, word, kSynonyms)) {
            profile.features.insert(*id);
        } else if (!word.empty() && strange.size() < 64) {
            strange.push_back(printable(word, 40));
        }
    }
    if (profile.features.empty()) return usage_error("cannot import", name, "no feature that is known here is in it");
    if (profile.architecture == arch::Architecture::x86_64) profile.known = printed_in_full(table);
    profile.known |= profile.features;
    profile.notes.emplace_back("made from runsc cpu-features: vendor and model, raw CPUID, the XSAVE layout, HWCAP words, "
                               "AT_MINSIGSTKSZ and the kernel are not known");
    profile.notes.push_back(fmt::format("{} features, of which gVisor does not speak, are unknown",
                                        (table.all() - profile.known).size()));
    if (!strange.empty()) {
        profile.notes.push_back("features that are not known here, passed over: " + join(strange, " "));
    }
    return profile;
}

}  // namespace

extern const Format kRunsc{"runsc", "runsc cpu-features (gVisor)", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
