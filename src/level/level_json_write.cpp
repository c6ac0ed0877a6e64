#include <nlohmann/json.hpp>

#include "level/feature_text.h"
#include "level/level_json.h"
#include "profile/json_parts.h"

namespace cpulevel::level {
namespace {

using nlohmann::json;
using profile::hex64;

json components_of(const std::map<unsigned, profile::XsaveComponent>& components) {
    json result = json::object();
    for (const auto& [number, component] : components) {
        result[std::to_string(number)] = {
            {"size", component.size}, {"offset", component.offset}, {"aligned", component.aligned}};
    }
    return result;
}

json tree_of(const Level& level) {
    const auto& table = arch::table(level.architecture);
    json nodes = json::array();
    for (const LevelNode& node : level.nodes) {
        nodes.push_back({{"name", node.name}, {"origin", node.origin}, {"brand", node.brand}});
    }
    json registers = json::object();
    for (const auto& [name, value] : level.registers) registers[name] = hex64(value);
    json root = {
        {"schema", kLevelSchema},
        {"name", level.name},
        {"architecture", arch::name(level.architecture)},
        {"features", feature_names(table, level.features)},
        {"undetermined", feature_names(table, level.undetermined)},
        {"hwcap", profile::hwcap_json(level.hwcap, table)},
        {"registers", std::move(registers)},
        {"cpuid", profile::cpuid_json(level.cpuid)},
        {"nodes", std::move(nodes)},
        {"warnings", level.warnings},
    };
    if (level.minimum_signal_stack) {
        root["minimum_signal_stack"] = {{"bytes", *level.minimum_signal_stack},
                                        {"node", level.minimum_signal_stack_node}};
    }
    if (level.platform) root["platform"] = *level.platform;
    if (level.enabled_components) root["enabled_components"] = hex64(*level.enabled_components);
    if (level.xsave) {
        root["xsave"] = {{"visible", hex64(level.xsave->visible)},
                         {"standard_size", level.xsave->standard_size},
                         {"compacted_size", level.xsave->compacted_size},
                         {"largest_node", level.xsave->largest_node},
                         {"components", components_of(level.xsave->components)},
                         {"reserved", components_of(level.xsave->reserved)}};
    }
    if (level.identity) {
        root["identity"] = {{"vendor", level.identity->vendor},
                            {"brand", level.identity->brand},
                            {"family", level.identity->family},
                            {"model", level.identity->model},
                            {"stepping", level.identity->stepping}};
    }
    return root;
}

// Host and file names may be any bytes; JSON is UTF-8.
std::string text_of(const json& root) { return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string to_json(const Level& level) { return text_of(tree_of(level)); }

std::string to_json(const Level& level, std::string_view types) {
    json root = tree_of(level);
    root["schema"] = kLevelSchemaWithTypes;
    root["types"] = nullptr;
    std::string text = text_of(root);
    // In no string is there a line's end, so that this is the key at the top.
    constexpr std::string_view kKey = "\n  \"types\": ", kNothing = "null";
    const auto at = text.find(std::string(kKey) + std::string(kNothing));
    return text.replace(at + kKey.size(), kNothing.size(), types);
}

}  // namespace cpulevel::level
