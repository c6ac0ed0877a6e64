#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "level/feature_text.h"
#include "level/level_json.h"

namespace cpulevel::level {
namespace {

using nlohmann::json;

std::string hex32(std::uint32_t value) { return fmt::format("0x{:08x}", value); }
std::string hex64(std::uint64_t value) { return fmt::format("0x{:x}", value); }

constexpr std::array kHwcapNames{"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"};

json hwcap_of(const Level& level) {
    const auto& table = arch::table(level.architecture);
    json words = json::object();
    for (std::size_t word = 0; word < level.hwcap.size(); ++word) {
        if (!level.hwcap.at(word)) continue;
        std::array<std::optional<std::uint64_t>, 4> alone{};
        alone.at(word) = level.hwcap.at(word);
        words[kHwcapNames.at(word)] = {{"value", hex64(*level.hwcap.at(word))},
                                       {"names", feature_names(table, table.from_hwcap(alone))}};
    }
    return words;
}

json components_of(const std::map<unsigned, profile::XsaveComponent>& components) {
    json result = json::object();
    for (const auto& [number, component] : components) {
        result[std::to_string(number)] = {
            {"size", component.size}, {"offset", component.offset}, {"aligned", component.aligned}};
    }
    return result;
}

json cpuid_of(const arch::CpuidDump& cpuid) {
    json leaves = json::array();
    for (const auto& [key, registers] : cpuid) {
        leaves.push_back({{"leaf", hex32(key.leaf)},
                          {"subleaf", hex32(key.subleaf)},
                          {"eax", hex32(registers.eax)},
                          {"ebx", hex32(registers.ebx)},
                          {"ecx", hex32(registers.ecx)},
                          {"edx", hex32(registers.edx)}});
    }
    return leaves;
}

}  // namespace

std::string to_json(const Level& level) {
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
        {"hwcap", hwcap_of(level)},
        {"registers", std::move(registers)},
        {"cpuid", cpuid_of(level.cpuid)},
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
    // Host and file names may be any bytes; JSON is UTF-8.
    return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace cpulevel::level
