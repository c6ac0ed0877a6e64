#include "fleet/kept.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "level/level_json.h"
#include "profile/derive.h"
#include "profile/profile_json.h"
#include "util/name_ranges.h"

namespace cpulevel::fleet {
namespace {

using nlohmann::json;

constexpr std::size_t kMostNames = 10'000'000;

profile::NodeProfile without_what_is_its_own(profile::NodeProfile node) {
    node.kernel.clear();
    node.hypervisor.clear();
    node.notes.clear();
    node.cpuid_faulting.reset();
    unsigned number = 0;
    for (profile::CpuGroup& group : node.cpus) {
        group.cpus = std::to_string(number++);
        group.cpuid = profile::without_live_fields(std::move(group.cpuid));
    }
    return node;
}

std::unexpected<Error> refuse(const std::string& name, std::size_t type, std::string why) {
    return usage_error("not a valid level", fmt::format("{}: types[{}]", name, type), std::move(why),
                       "the file was edited or damaged; make the level again with cpulevel baseline --updatable");
}

Result<NodeType> read_type(const json& item, const std::string& name, std::size_t number) {
    const std::unordered_set<std::string> keys{"count", "nodes", "profile"};
    if (!item.is_object() || item.size() != keys.size() ||
        !std::ranges::all_of(item.items(), [&](const auto& entry) { return keys.contains(entry.key()); })) {
        return refuse(name, number, "expected count, nodes and profile");
    }
    if (!item["count"].is_number_unsigned() || !item["nodes"].is_array()) {
        return refuse(name, number, "count is no number, or nodes is no list");
    }
    NodeType type;
    const auto count = item["count"].get<std::uint64_t>();
    for (const json& text : item["nodes"]) {
        if (!text.is_string()) return refuse(name, number, "a node's name is no string");
        const auto names = from_ranges(text.get_ref<const std::string&>(), kMostNames - std::min(kMostNames, type.nodes.size()));
        if (!names) return refuse(name, number, names.error().message());
        type.nodes.insert(type.nodes.end(), names->begin(), names->end());
    }
    if (count == 0 || count > kMostNames || type.nodes.size() > count) {
        return refuse(name, number, "the count and the names contradict each other");
    }
    type.count = static_cast<std::size_t>(count);
    auto profile = profile::from_json(item["profile"].dump(), fmt::format("{}: types[{}].profile", name, number));
    if (!profile) return std::unexpected(profile.error());
    type.profile = *std::move(profile);
    return type;
}

}  // namespace

Result<std::string> with_types(const level::Level& level, const Fleet& fleet) {
    if (fleet.types.size() > kMostKept) {
        return usage_error("the level cannot keep its node types", {},
                           fmt::format("there are {}, at most {} fit into its file", fleet.types.size(), kMostKept),
                           "make it without --updatable, from all nodes each time");
    }
    json root = json::parse(level::to_json(level));
    root["schema"] = "cpulevel/level/2";
    json& types = root["types"] = json::array();
    for (const NodeType& type : fleet.types) {
        types.push_back({{"count", type.count},
                         {"nodes", to_ranges(type.nodes)},
                         {"profile", json::parse(profile::to_json(without_what_is_its_own(type.profile)))}});
    }
    return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Fleet> kept_fleet(std::string_view text, const std::string& name) {
    const auto level = level::from_json(text, name);
    if (!level) return std::unexpected(level.error());
    const json root = json::parse(text, nullptr, false);
    const auto types = root.find("types");
    if (types == root.end()) {
        return usage_error("the level cannot be brought up to date", name, "it does not keep the nodes that it was made of",
                           "make it with cpulevel baseline --updatable");
    }
    if (types->empty() || types->size() > kMostKept) return refuse(name, types->size(), fmt::format("there are 1 to {} types", kMostKept));
    FleetBuilder builder;
    std::size_t number = 0;
    for (const json& item : *types) {
        auto type = read_type(item, name, number++);
        if (!type) return std::unexpected(type.error());
        if (type->profile.architecture != level->architecture) return refuse(name, number - 1, "another architecture than the level's");
        builder.add(std::move(type->profile), type->count, std::move(type->nodes));
    }
    return builder.take();
}

}  // namespace cpulevel::fleet
