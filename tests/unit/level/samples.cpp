#include "samples.h"

#include <algorithm>
#include <stdexcept>

#include "level/named.h"

namespace cpulevel::level::test {
namespace {

using profile::XsaveComponent;

struct Place {
    unsigned number;
    XsaveComponent component;
};

profile::XsaveLayout layout_from(std::initializer_list<Place> places, std::uint64_t xcr0) {
    profile::XsaveLayout layout;
    layout.xcr0 = xcr0;
    layout.xcr0_enabled = true;
    layout.standard_size = 576;
    layout.compacted_size = 576;
    for (const Place& place : places) {
        if (((xcr0 >> place.number) & 1U) == 0) continue;
        layout.components[place.number] = place.component;
        layout.standard_size = std::max(layout.standard_size, place.component.offset + place.component.size);
        layout.compacted_size += place.component.size;
    }
    layout.maximum_size = layout.standard_size;
    return layout;
}

}  // namespace

const arch::FeatureTable& x86() { return arch::table(arch::Architecture::x86_64); }

arch::FeatureId id(std::string_view name, const arch::FeatureTable& table) {
    const auto found = table.find(name);
    if (!found) throw std::logic_error("no feature " + std::string(name));
    return *found;
}

arch::FeatureSet set_of(std::initializer_list<std::string_view> names, const arch::FeatureTable& table) {
    arch::FeatureSet set;
    for (const std::string_view name : names) set.insert(id(name, table));
    return set;
}

// CPUID leaf 0xD of an Ice Lake-SP and of a Genoa, both with XCR0 0x2E7: 2,696 and 2,440 bytes.
profile::XsaveLayout intel_layout(std::uint64_t xcr0) {
    return layout_from({{2, {.size = 256, .offset = 576}},
                        {5, {.size = 64, .offset = 1088}},
                        {6, {.size = 512, .offset = 1152}},
                        {7, {.size = 1024, .offset = 1664}},
                        {9, {.size = 8, .offset = 2688}}},
                       xcr0);
}

profile::XsaveLayout amd_layout(std::uint64_t xcr0) {
    return layout_from({{2, {.size = 256, .offset = 576}},
                        {5, {.size = 64, .offset = 832}},
                        {6, {.size = 512, .offset = 896}},
                        {7, {.size = 1024, .offset = 1408}},
                        {9, {.size = 8, .offset = 2432}}},
                       xcr0);
}

profile::NodeProfile node(const NodeSpec& spec) {
    const arch::NamedLevel* named = x86().find_level(spec.level);
    if (named == nullptr) throw std::logic_error("no level " + std::string(spec.level));
    profile::NodeProfile profile;
    profile.name = spec.name;
    profile.origin = "scan";
    profile.identity = {.vendor = spec.vendor, .brand = "CPU of " + spec.name, .family = 6, .model = 1, .stepping = 0};
    profile.features = features_of(x86(), *named) | set_of(spec.more);
    profile.features -= set_of(spec.without);
    profile.known = x86().all();
    profile.xsave = spec.xsave;
    profile.minimum_signal_stack = spec.signal_stack;
    profile.platform = "x86_64";
    profile.page_size = 4096;
    refresh(profile);
    return profile;
}

void refresh(profile::NodeProfile& profile) {
    arch::CpuidDump dump;
    dump[{0, 0}] = {.eax = 0x20, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69};
    dump[{0x80000000, 0}] = {.eax = 0x80000008, .ebx = 0, .ecx = 0, .edx = 0};
    profile.features.for_each([&](arch::FeatureId feature) {
        for (const arch::CpuidPlace& place : x86()[feature].cpuid.first(std::min<std::size_t>(x86()[feature].cpuid.size(), 1))) {
            auto& registers = dump[{place.leaf, place.subleaf}];
            registers.set(place.reg, registers.get(place.reg) | (1U << place.bit));
        }
    });
    if (profile.xsave) {
        dump[{0xD, 0}] = {.eax = static_cast<std::uint32_t>(profile.xsave->xcr0),
                          .ebx = profile.xsave->standard_size,
                          .ecx = profile.xsave->maximum_size,
                          .edx = 0};
        for (const auto& [number, component] : profile.xsave->components) {
            dump[{0xD, number}] = {.eax = component.size, .ebx = component.offset, .ecx = 0, .edx = 0};
        }
    }
    profile.cpus = {{"0-1", dump}};
    profile.hwcap = {x86().to_hwcap(profile.features, 0), x86().to_hwcap(profile.features, 1), std::nullopt, std::nullopt};
}

profile::NodeProfile arm_node(std::string name, std::initializer_list<std::string_view> features) {
    const auto& table = arch::table(arch::Architecture::aarch64);
    profile::NodeProfile profile;
    profile.name = std::move(name);
    profile.architecture = arch::Architecture::aarch64;
    profile.origin = "scan";
    profile.features = table.with_needs(set_of(features, table));
    profile.known = table.all();
    profile.page_size = 4096;
    profile.minimum_signal_stack = 4720;
    profile.registers = {{"CTR_EL0", 0x8444c004}, {"DCZID_EL0", 4}};
    for (std::uint8_t word = 0; word < 4; ++word) profile.hwcap.at(word) = table.to_hwcap(profile.features, word);
    return profile;
}

Meet must_meet(const std::vector<profile::NodeProfile>& nodes, const MeetOptions& options) {
    auto result = meet(nodes, options);
    if (!result) throw std::runtime_error("no level: " + result.error().message());
    return *std::move(result);
}

const Loss* loss_of(const Meet& meet, std::string_view name, const arch::FeatureTable& table) {
    const arch::FeatureId wanted = id(name, table);
    const auto at = std::ranges::find(meet.losses, wanted, &Loss::feature);
    return at == meet.losses.end() ? nullptr : &*at;
}

}  // namespace cpulevel::level::test
