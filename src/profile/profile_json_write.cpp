#include <nlohmann/json.hpp>

#include "profile/derive.h"
#include "profile/json_parts.h"
#include "profile/profile_json.h"

namespace cpulevel::profile {
namespace {

using nlohmann::json;

json cpus_of(const NodeProfile& profile) {
    json groups = json::array();
    for (const CpuGroup& group : profile.cpus) {
        groups.push_back({{"cpus", group.cpus}, {"cpuid", cpuid_json(group.cpuid)}});
    }
    return groups;
}

json xsave_of(const XsaveLayout& layout) {
    json components = json::object();
    for (const auto& [number, component] : layout.components) {
        components[std::to_string(number)] = {{"size", component.size},
                                              {"offset", component.offset},
                                              {"supervisor", component.supervisor},
                                              {"aligned", component.aligned}};
    }
    return {{"xcr0", hex64(layout.xcr0)},
            {"xcr0_enabled", layout.xcr0_enabled},
            {"standard_size", layout.standard_size},
            {"maximum_size", layout.maximum_size},
            {"compacted_size", layout.compacted_size},
            {"components", std::move(components)}};
}

}  // namespace

std::string to_json(const NodeProfile& profile) {
    json root = {
        {"schema", kProfileSchema},
        {"name", profile.name},
        {"architecture", arch::name(profile.architecture)},
        {"origin", profile.origin},
        {"kernel", profile.kernel},
        {"hypervisor", profile.hypervisor},
        {"identity",
         {{"vendor", profile.identity.vendor},
          {"brand", profile.identity.brand},
          {"family", profile.identity.family},
          {"model", profile.identity.model},
          {"stepping", profile.identity.stepping}}},
        {"hwcap", hwcap_json(profile.hwcap, arch::table(profile.architecture))},
        {"cpus", cpus_of(profile)},
        {"features", names(profile.architecture, profile.features)},
        {"known", names(profile.architecture, profile.known)},
        {"notes", profile.notes},
    };
    if (profile.minimum_signal_stack) root["minimum_signal_stack"] = *profile.minimum_signal_stack;
    if (profile.page_size) root["page_size"] = *profile.page_size;
    if (profile.platform) root["platform"] = *profile.platform;
    if (profile.cpuid_faulting) root["cpuid_faulting"] = *profile.cpuid_faulting;
    if (profile.xsave) root["xsave"] = xsave_of(*profile.xsave);
    json registers = json::object();
    for (const auto& [name, value] : profile.registers) registers[name] = hex64(value);
    root["registers"] = std::move(registers);
    // Host and file names may be any bytes; JSON is UTF-8.
    return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace cpulevel::profile
