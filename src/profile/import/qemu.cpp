// QEMU's query-cpu-model-expansion (static or full): what a model stands for, as properties with true or false:
//     {"return": {"model": {"name": "base", "props": {"avx": true, "avx2": false, "vendor": "GenuineIntel", ...}}}}
// One answer, a whole QMP session, or a transcript of qmp-shell, with the commands in between, which name the models. A
// session may ask for many: each is a node.
//
// The answer does not say for which architecture it is; the names of its properties do. It speaks of every feature that
// this QEMU knows and of no other. On arm64 it is a handful. OSXSAVE is not the model's but its system's to set.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/import/format.h"
#include "profile/import/json_pieces.h"
#include "profile/import/tool_names.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Architecture;
using nlohmann::json;

bool recognises(std::string_view text) {
    return text.find("\"props\"") != std::string_view::npos && text.find('{') != std::string_view::npos &&
           (text.find("\"model\"") != std::string_view::npos || text.find("\"name\"") != std::string_view::npos) &&
           !is_ours(text);
}

std::optional<Architecture> architecture_of(const json& properties) {
    const auto has = [&](std::string_view name) { return member(properties, name) != nullptr; };
    if (has("lm") || has("sse2") || has("cx8")) return Architecture::x86_64;
    if (has("aarch64") || has("pauth") || has("sve")) return Architecture::aarch64;
    if (has("stfle53") || has("ldisp") || has("vx")) return Architecture::s390x;
    if (has("zicsr") || has("zba") || has("Zicsr")) return Architecture::riscv64;
    if (has("lsx") || has("lasx")) return Architecture::loongarch64;
    return std::nullopt;
}

std::uint32_t number(const json& properties, std::string_view key) {
    const auto* value = member(properties, key);
    if (value == nullptr || !value->is_number_unsigned()) return 0;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(value->get<std::uint64_t>(), 0xffff));
}

Result<NodeProfile> read_model(const json& model, std::string node, const std::string& file) {
    const json& properties = *member(model, "props");
    const auto architecture = architecture_of(properties);
    if (!architecture) {
        return usage_error("cannot import", file, fmt::format("the properties of model \"{}\" are of no known architecture",
                                                              text_member(model, {"name"})));
    }
    const auto& table = arch::table(*architecture);
    NodeProfile profile;
    profile.name = std::move(node);
    profile.architecture = *architecture;
    profile.origin = "QEMU CPU model";
    profile.identity = {text_member(properties, {"vendor"}), text_member(properties, {"model-id"}),
                        number(properties, "family"), number(properties, "model"), number(properties, "stepping")};
    if (profile.identity.brand.empty()) profile.identity.brand = text_member(model, {"name"});
    for (const auto& [key, value] : properties.items()) {
        if (!value.is_boolean()) continue;
        const auto id = find_feature(table, key);
        if (!id) continue;  // switches of QEMU itself, virtualisation, mitigations
        profile.known.insert(*id);
        if (value.get<bool>()) profile.features.insert(*id);
    }
    if (*architecture == Architecture::x86_64) {
        const auto xsave = table.find("xsave"), osxsave = table.find("osxsave");
        if (xsave && osxsave && profile.known.contains(*xsave)) {
            profile.known.insert(*osxsave);
            if (profile.features.contains(*xsave)) profile.features.insert(*osxsave);
        }
    }
    profile.notes.emplace_back("made from a CPU model of QEMU: what a guest with this model is shown; that its system "
                               "turns XSAVE on is assumed. Raw CPUID, the XSAVE layout, HWCAP words and AT_MINSIGSTKSZ are "
                               "not known");
    profile.notes.push_back(fmt::format("{} features, of which this QEMU does not speak, are unknown",
                                        (table.all() - profile.known).size()));
    return profile;
}

// The model in an answer, in whichever shell it comes; null in anything else.
const json* model_of(const json& object) {
    for (const auto& path : {std::initializer_list<std::string_view>{"return", "model"}, {"model"}, {}}) {
        const auto* model = member(object, path);
        const auto* properties = model == nullptr ? nullptr : member(*model, "props");
        if (properties != nullptr && properties->is_object() && properties->size() > 1) return model;
    }
    return nullptr;
}

// The model that a command asks for: {"execute": ..., "arguments": {"model": {"name": "Haswell"}}}, or what qmp-shell is
// given, model={"name":"Haswell"}.
std::string asked_for(const json& object) {
    auto name = text_member(object, {"arguments", "model", "name"});
    if (name.empty() && object.size() <= 2) name = text_member(object, {"name"});
    return name;
}

constexpr std::size_t kMostModels = 10000;

Result<std::vector<NodeProfile>> read(std::string_view text, const std::string& name) {
    std::vector<NodeProfile> profiles;
    std::string asked;
    std::vector<std::string> refused;
    for (const json& object : json_objects(text)) {
        const json* model = model_of(object);
        if (model == nullptr) {
            if (auto next = asked_for(object); !next.empty()) asked = std::move(next);
            if (auto why = text_member(object, {"error", "desc"}); !why.empty()) refused.push_back(std::move(why));
            continue;
        }
        std::string node = std::exchange(asked, {});
        if (node.empty()) node = text_member(object, {"id"});
        if (node.empty() && text_member(*model, {"name"}) != "base") node = text_member(*model, {"name"});
        if (node.empty()) node = profiles.empty() ? printable(name) : fmt::format("{} {}", printable(name), profiles.size() + 1);
        auto profile = read_model(*model, std::move(node), name);
        if (!profile) return std::unexpected(profile.error());
        profiles.push_back(*std::move(profile));
        if (profiles.size() > kMostModels) return usage_error("cannot import", name, "absurdly many models");
    }
    if (profiles.empty()) {
        return usage_error("cannot import", name,
                           refused.empty() ? "no answer of query-cpu-model-expansion in it" : "QEMU refused: " + refused.front(),
                           "static and full expansions are known");
    }
    if (!refused.empty()) {
        profiles.front().notes.push_back(fmt::format("{} other models in the same file were refused by QEMU", refused.size()));
    }
    return profiles;
}

}  // namespace

extern const Format kQemu{"qemu", "QEMU query-cpu-model-expansion (JSON, QMP session, qmp-shell)", recognises, read};

}  // namespace cpulevel::profile::import
