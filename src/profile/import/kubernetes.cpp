// Node Feature Discovery (NFD), as `kubectl get nodes -o json` or `kubectl get nodefeatures -A -o json` print it: a list or
// one object; each item is a node.
//
// Node objects have labels, "feature.node.kubernetes.io/cpu-cpuid.AVX2": "true". By default NFD makes no label for BMI1,
// CMOV, SSE4 and 21 others, and an administrator may leave out or keep any; so a missing label says nothing.
// NodeFeature objects have what NFD's worker found, unfiltered, under spec.features.flags["cpu.cpuid"].elements: on x86 the
// names of klauspost/cpuid, on arm64 those of the HWCAP bits. There a missing name is a "no" for the names that every
// version of NFD with NodeFeature objects (since 0.12) looks for.
// Kubernetes runs on 64-bit systems only ("386" is no architecture of its nodes), and the label kubernetes.io/arch is the
// kubelet's own GOARCH. So a node of amd64 has what the psABI requires of every x86-64 processor, and one of arm64 what
// Armv8.0-A does: an inference, and the profile's notes say so.
// Sources: kubernetes.io "Well-Known Labels", "Release notes: downloads" (server and node binaries); x86-64 psABI,
// "Micro-Architecture Levels"; NFD source/cpu/cpu.go and cpuid_linux_arm64.go; klauspost/cpuid featureid_string.go.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "profile/import/format.h"
#include "profile/import/json_pieces.h"
#include "profile/import/kernel_words.h"
#include "profile/import/tool_names.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Architecture;
using nlohmann::json;

constexpr std::string_view kPrefix = "feature.node.kubernetes.io/cpu-";
constexpr std::size_t kMostNodes = 1000000;

// klauspost/cpuid's names that the tables do not have, or that mean something else there.
constexpr std::array kSynonyms{
    Synonym{"SSE4", "sse4_1"},      Synonym{"SSE42", "sse4_2"},        Synonym{"AMD3DNOW", "3dnow"},
    Synonym{"AMD3DNOWEXT", "3dnowext"}, Synonym{"CLMUL", "pclmulqdq"}, Synonym{"CMPXCHG8", "cx8"},
    Synonym{"X87", "fpu"},          Synonym{"SYSEE", "sep"},           Synonym{"FMA3", "fma"},
    Synonym{"TOPEXT", "topoext"},   Synonym{"SM3_X86", "sm3"},         Synonym{"SM4_X86", "sm4"},
    // Facts about speed and counts, under names that could be taken for others.
    Synonym{"HWA", ""},             Synonym{"FP128", ""},              Synonym{"FP256", ""},
    Synonym{"MOVU", ""},            Synonym{"SVML", ""}};

// Looked for by klauspost/cpuid 2.0 and later, each from one CPUID bit (and the system's enabling, where it needs that).
constexpr std::array<std::string_view, 62> kAlwaysLookedFor{
    "ADX",        "AESNI",      "AVX",      "AVX2",     "AVX512BF16", "AVX512BITALG", "AVX512BW",
    "AVX512CD",   "AVX512DQ",   "AVX512ER", "AVX512F",  "AVX512IFMA", "AVX512PF",     "AVX512VBMI",
    "AVX512VBMI2", "AVX512VL",  "AVX512VNNI", "AVX512VP2INTERSECT", "AVX512VPOPCNTDQ", "BMI1", "BMI2",
    "CLMUL",      "CMOV",       "CX16",     "ERMS",     "F16C",       "FMA3",         "FMA4",
    "GFNI",       "HLE",        "LZCNT",    "MMX",      "MMXEXT",     "MPX",          "NX",
    "POPCNT",     "RDRAND",     "RDSEED",   "RDTSCP",   "RTM",        "SHA",          "SSE",
    "SSE2",       "SSE3",       "SSE4",     "SSE42",    "SSE4A",      "SSSE3",        "TBM",
    "VAES",       "VPCLMULQDQ", "WAITPKG",  "WBNOINVD", "XOP",        "CLZERO",       "ENQCMD",
    "MOVDIRI",    "MOVDIR64B",  "AMXBF16",  "AMXINT8",  "AMXTILE",    "HYPERVISOR"};

bool recognises(std::string_view text) {
    return text.find("\"kind\"") != std::string_view::npos && text.find("\"apiVersion\"") != std::string_view::npos &&
           trim(text.substr(0, 4096)).starts_with('{') && !is_ours(text);
}

// A node's object is 20 KB and more, most of it images and conditions: not kept.
bool wanted(int /*depth*/, json::parse_event_t event, json& parsed) {
    if (event != json::parse_event_t::key) return true;
    constexpr std::array<std::string_view, 13> kBulky{
        "managedFields", "annotations",   "images",          "conditions", "addresses", "allocatable", "capacity",
        "volumesInUse",  "volumesAttached", "ownerReferences", "instances",  "taints",    "daemonEndpoints"};
    const auto& key = parsed.get_ref<const std::string&>();
    return std::ranges::find(kBulky, key) == kBulky.end();
}

struct Found {
    std::vector<std::string_view> names;
    std::string vendor, family, model;
    bool unfiltered = false;  // a NodeFeature object
    bool told = false;        // whether there is anything of NFD's at all
};

Found labels_of(const json& item) {
    Found found;
    const auto* labels = member(item, {"metadata", "labels"});
    if (labels == nullptr || !labels->is_object()) return found;
    for (const auto& [key, value] : labels->items()) {
        if (!key.starts_with(kPrefix) || !value.is_string()) continue;
        found.told = true;
        const auto rest = std::string_view(key).substr(kPrefix.size());
        const auto& text = value.get_ref<const std::string&>();
        if (rest.starts_with("cpuid.") && text == "true") found.names.push_back(rest.substr(6));
        if (rest == "model.vendor_id") found.vendor = printable(text, 40);
        if (rest == "model.family") found.family = text;
        if (rest == "model.id") found.model = text;
    }
    return found;
}

Found flags_of(const json& item) {
    Found found;
    found.unfiltered = true;
    const auto* flags = member(item, {"spec", "features", "flags", "cpu.cpuid", "elements"});
    if (flags != nullptr && flags->is_object()) {
        found.told = true;
        for (const auto& [key, value] : flags->items()) found.names.emplace_back(key);
    }
    const auto* model = member(item, {"spec", "features", "attributes", "cpu.model", "elements"});
    if (model != nullptr) {
        found.vendor = text_member(*model, {"vendor_id"});
        found.family = text_member(*model, {"family"});
        found.model = text_member(*model, {"id"});
    }
    return found;
}

std::optional<Architecture> architecture_of(const json& item, const Found& found) {
    for (const std::string_view label : {"kubernetes.io/arch", "beta.kubernetes.io/arch"}) {
        const auto text = text_member(item, {"metadata", "labels", label});
        if (!text.empty()) return arch::find_architecture(text);
    }
    if (const auto text = text_member(item, {"status", "nodeInfo", "architecture"}); !text.empty()) {
        return arch::find_architecture(text);
    }
    // NodeFeature objects do not say. The names do: CMOV is in every x86-64 list, ASIMD in every arm64 one.
    const auto has = [&](std::string_view name) { return std::ranges::find(found.names, name) != found.names.end(); };
    if (has("CMOV") || has("SSE2") || has("AVX") || has("AESNI")) return Architecture::x86_64;
    if (has("ASIMD") || has("FP")) return Architecture::aarch64;
    return std::nullopt;
}

std::string vendor_of(std::string vendor) {
    if (vendor == "Intel") return "GenuineIntel";
    if (vendor == "AMD") return "AuthenticAMD";
    if (vendor == "Hygon") return "HygonGenuine";
    return vendor;
}

// The lowest level of the architecture; without one (ppc64le, s390x) nothing is inferred.
const arch::NamedLevel* lowest_level(const arch::FeatureTable& table) {
    switch (table.architecture()) {
        case Architecture::x86_64: return table.find_level("x86-64");
        case Architecture::aarch64: return table.find_level("armv8.0-a");
        default: return nullptr;
    }
}

void infer_from_architecture(NodeProfile& profile) {
    const auto* lowest = lowest_level(arch::table(profile.architecture));
    if (lowest == nullptr) return;
    for (const arch::FeatureId id : lowest->features) profile.features.insert(id);
    profile.notes.push_back(fmt::format("taken from its architecture ({}), not told: what every CPU of {} has",
                                        arch::name(profile.architecture), lowest->name));
}

void take_names(const Found& found, NodeProfile& profile) {
    const auto& table = arch::table(profile.architecture);
    infer_from_architecture(profile);
    std::vector<std::string> strange;
    for (const std::string_view name : found.names) {
        if (const auto id = find_feature(table, name, kSynonyms)) {
            profile.features.insert(*id);
        } else if (strange.size() < 64) {
            strange.push_back(printable(name, 40));
        }
    }
    profile.known = profile.features;
    if (found.unfiltered && found.told && profile.architecture == Architecture::x86_64) {
        for (const std::string_view name : kAlwaysLookedFor) {
            if (const auto id = find_feature(table, name, kSynonyms)) profile.known.insert(*id);
        }
    }
    if (!strange.empty()) profile.notes.push_back("names that are not features here, passed over: " + join(strange, " "));
}

Result<NodeProfile> read_item(const json& item, std::size_t index, const std::string& file) {
    const auto kind = text_member(item, {"kind"});
    const Found found = kind == "NodeFeature" ? flags_of(item) : labels_of(item);
    NodeProfile profile;
    profile.name = text_member(item, {"metadata", "labels", "nfd.node.kubernetes.io/node-name"});
    if (profile.name.empty()) profile.name = text_member(item, {"metadata", "name"});
    if (profile.name.empty()) profile.name = fmt::format("{} item {}", printable(file), index);
    const auto architecture = architecture_of(item, found);
    if (!architecture) {
        return usage_error("cannot import", fmt::format("{}, node {}", file, profile.name),
                           "its architecture is not told, or not known here");
    }
    profile.architecture = *architecture;
    profile.origin = found.unfiltered ? "NFD NodeFeature" : "NFD labels";
    profile.kernel = text_member(item, {"status", "nodeInfo", "kernelVersion"});
    profile.identity.vendor = vendor_of(found.vendor);
    profile.identity.family = small_number(found.family);
    profile.identity.model = small_number(found.model);
    take_names(found, profile);
    if (!found.told) {
        profile.notes.emplace_back("Node Feature Discovery says nothing about this node");
    } else if (found.unfiltered) {
        profile.notes.emplace_back("made from a NodeFeature object: raw values, the XSAVE layout, HWCAP words and "
                                   "AT_MINSIGSTKSZ are not known");
    } else {
        profile.notes.emplace_back("made from NFD labels, which leave out two dozen features by default and any that the "
                                   "administrator chose: what has no label is unknown. Its NodeFeature object tells more");
    }
    profile.notes.push_back(fmt::format("{} features are unknown",
                                        (arch::table(profile.architecture).all() - profile.known).size()));
    return profile;
}

Result<std::vector<Result<NodeProfile>>> read_each(std::string_view text, const std::string& name) {
    const auto document = json::parse(text, wanted, false);
    if (document.is_discarded() || !document.is_object()) {
        return usage_error("cannot import", name, "not valid JSON (cut or damaged)");
    }
    std::vector<const json*> items;
    if (const auto* list = member(document, "items"); list != nullptr && list->is_array()) {
        if (list->size() > kMostNodes) return usage_error("cannot import", name, "absurdly many nodes");
        for (const json& item : *list) items.push_back(&item);
    } else {
        items.push_back(&document);
    }
    std::vector<Result<NodeProfile>> profiles;
    std::map<std::string, std::size_t> uses;
    std::size_t index = 0;
    for (const json* item : items) {
        ++index;
        const auto kind = text_member(*item, {"kind"});
        // Items of a NodeList that was cut out of its list have no kind.
        if (!kind.empty() && kind != "Node" && kind != "NodeFeature") continue;
        auto profile = read_item(*item, index, name);
        if (profile) {
            if (const auto use = ++uses[profile->name]; use > 1) profile->name += fmt::format(" ({})", use);
        }
        profiles.push_back(std::move(profile));
    }
    if (profiles.empty()) {
        return usage_error("cannot import", name, "no Node and no NodeFeature object in it",
                           "`kubectl get nodes -o json` or `kubectl get nodefeatures -A -o json` prints them");
    }
    return profiles;
}

Result<std::vector<NodeProfile>> read(std::string_view text, const std::string& name) {
    auto each = read_each(text, name);
    if (!each) return std::unexpected(each.error());
    std::vector<NodeProfile> profiles;
    for (Result<NodeProfile>& profile : *each) {
        if (!profile) return std::unexpected(profile.error());
        profiles.push_back(*std::move(profile));
    }
    return profiles;
}

}  // namespace

extern const Format kKubernetes{"nfd", "Node Feature Discovery: kubectl get nodes (or nodefeatures) -o json", recognises, read,
                               read_each};

}  // namespace cpulevel::profile::import
