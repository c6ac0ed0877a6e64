#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/cpu_list.h"
#include "profile/derive.h"
#include "profile/json_parts.h"
#include "profile/profile_json.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

constexpr std::size_t kMostGroups = 65536, kMostNotes = 4096, kMostRegisters = 256;
constexpr std::uint64_t kMaximumPage = 1U << 30U;          // bytes
constexpr std::uint64_t kMaximumSignalStack = 64U << 20U;  // bytes

constexpr SchemaFamily kSchema{.family = "cpulevel/profile/",
                               .newest = 1,
                               .what = "profile",
                               .other = "cpulevel/level/",
                               .other_hint = "this is a level; give it where a level is taken"};

Identity read_identity(const JsonValue& value) {
    value.only({"vendor", "brand", "family", "model", "stepping"});
    return {.vendor = value.member("vendor").string(),
            .brand = value.member("brand").string(),
            .family = small(value.member("family"), 0xffff),
            .model = small(value.member("model"), 0xffff),
            .stepping = small(value.member("stepping"), 0xffff)};
}

void read_cpus(const JsonValue& list, NodeProfile& profile) {
    std::vector<bool> seen(kMaximumCpu + 1, false);
    for (const JsonValue& item : list.items(kMostGroups)) {
        item.only({"cpus", "cpuid"});
        const auto where = item.member("cpus");
        const auto cpus = parse_cpu_list(where.string(1U << 20U));
        if (!cpus) return where.fail(cpus.error().message());
        if (cpus->empty()) return where.fail("a group without CPUs");
        for (const unsigned cpu : *cpus) {
            if (seen[cpu]) return where.fail(fmt::format("CPU {} is in two groups", cpu));
            seen[cpu] = true;
        }
        profile.cpus.push_back({format_cpu_list(*cpus), read_cpuid(item.member("cpuid"))});
    }
    if (profile.architecture != arch::Architecture::x86_64 && !profile.cpus.empty()) {
        list.fail("CPUID is of x86 only");
    }
}

XsaveLayout read_xsave(const JsonValue& value) {
    value.only({"xcr0", "xcr0_enabled", "standard_size", "maximum_size", "compacted_size", "components"});
    XsaveLayout layout;
    const auto xcr0 = value.member("xcr0");
    layout.xcr0 = xcr0.hex(kWord64);
    layout.xcr0_enabled = value.member("xcr0_enabled").boolean();
    layout.standard_size = small(value.member("standard_size"), kMaximumXsaveSize);
    layout.maximum_size = small(value.member("maximum_size"), kMaximumXsaveSize);
    layout.compacted_size = small(value.member("compacted_size"), kMaximumXsaveSize);
    if (layout.standard_size > layout.maximum_size) {
        value.fail(
            fmt::format("standard_size {} is larger than maximum_size {}", layout.standard_size, layout.maximum_size));
    }
    for (const auto& [key, item] : value.member("components").members(64)) {
        const auto number = parse_decimal(key);
        if (!number || *number < 2 || *number > kMaximumXsaveComponent || std::to_string(*number) != key) {
            item.fail(fmt::format("component numbers go from 2 to {}", kMaximumXsaveComponent));
            return layout;
        }
        item.only({"size", "offset", "supervisor", "aligned"});
        layout.components.emplace(static_cast<unsigned>(*number),
                                  XsaveComponent{.size = small(item.member("size"), kMaximumXsaveSize),
                                                 .offset = small(item.member("offset"), kMaximumXsaveSize),
                                                 .supervisor = item.member("supervisor").boolean(),
                                                 .aligned = item.member("aligned").boolean()});
    }
    return layout;
}

void check_xsave_against_raw(const JsonValue& value, const NodeProfile& profile) {
    for (const auto& [number, component] : profile.xsave->components) {
        for (const CpuGroup& group : profile.cpus) {
            const auto raw = arch::find(group.cpuid, 0xd, number);
            if (!raw || raw->eax <= component.size) continue;
            value.fail(fmt::format("component {} has {} bytes, but CPUID says {}", number, component.size, raw->eax));
        }
    }
}

// The feature list and the raw values of the same file must not contradict each other.
void check_features_against_raw(const JsonValue& root, NodeProfile& profile) {
    const auto features = root.member("features");
    const auto unfounded = profile.features - profile.known;
    if (!unfounded.empty()) {
        features.fail(
            fmt::format("{} is in \"features\" but not in \"known\"", names(profile.architecture, unfounded).front()));
    }
    const auto xcr0 = profile.xsave ? std::optional(profile.xsave->xcr0) : std::nullopt;
    const Derived raw = derive_features(profile.architecture, profile.cpus, xcr0, profile.hwcap);
    const auto both = raw.known & profile.known;
    if (const auto extra = (profile.features & both) - raw.features; !extra.empty()) {
        features.fail(fmt::format("{} is listed, but the raw values (CPUID, XCR0, HWCAP) do not show it",
                                  names(profile.architecture, extra).front()),
                      "the file was edited or damaged; scan the machine again");
    }
    if (const auto missing = (raw.features & both) - profile.features; !missing.empty()) {
        features.fail(fmt::format("{} is shown by the raw values (CPUID, XCR0, HWCAP), but not listed",
                                  names(profile.architecture, missing).front()),
                      "the file was edited or damaged; scan the machine again");
    }
    // Names that whoever wrote the file did not have yet.
    profile.features |= raw.features - profile.known;
    profile.known |= raw.known;
}

void read_optional_values(const JsonValue& root, NodeProfile& profile) {
    if (const auto value = root.maybe("minimum_signal_stack")) {
        profile.minimum_signal_stack = value->number(kMaximumSignalStack);
    }
    if (const auto value = root.maybe("page_size")) {
        profile.page_size = value->number(kMaximumPage);
        if (*profile.page_size == 0 || (*profile.page_size & (*profile.page_size - 1)) != 0) {
            value->fail("not a power of two");
        }
    }
    if (const auto value = root.maybe("platform")) profile.platform = value->string(512);
    if (const auto value = root.maybe("cpuid_faulting")) profile.cpuid_faulting = value->boolean();
    for (const auto& [key, value] : root.member("registers").members(kMostRegisters)) {
        profile.registers.emplace(key, value.hex(kWord64));
    }
    for (const JsonValue& note : root.member("notes").items(kMostNotes)) {
        profile.notes.push_back(note.string(1U << 16U));
    }
}

}  // namespace

Result<NodeProfile> from_json(std::string_view text, std::string name) {
    auto document = JsonDocument::parse(text, "not a valid profile", std::move(name));
    if (!document) return std::unexpected(document.error());
    return read_profile(**document, (*document)->root());
}

Result<NodeProfile> read_profile(const JsonDocument& document, const JsonValue& root) {
    NodeProfile profile;
    // A newer file is refused as such, not for the first key that this version does not know.
    if (!read_schema(root, kSchema)) return std::unexpected(document.verdict().error());
    const auto architecture = read_architecture(root);
    if (!architecture) return std::unexpected(document.verdict().error());
    profile.architecture = *architecture;
    root.only({"schema", "name", "architecture", "origin", "kernel", "hypervisor", "identity", "hwcap", "cpus",
               "features", "known", "notes", "minimum_signal_stack", "page_size", "platform", "cpuid_faulting", "xsave",
               "registers"});
    profile.name = root.member("name").string();
    profile.origin = root.member("origin").string(128);
    profile.kernel = root.member("kernel").string();
    profile.hypervisor = root.member("hypervisor").string();
    profile.identity = read_identity(root.member("identity"));
    const auto& table = arch::table(profile.architecture);
    profile.hwcap = read_hwcap(root.member("hwcap"), table);
    read_cpus(root.member("cpus"), profile);
    read_optional_values(root, profile);
    if (const auto value = root.maybe("xsave")) {
        profile.xsave = read_xsave(*value);
        check_xsave_against_raw(*value, profile);
    }
    profile.features = read_feature_names(root.member("features"), table);
    profile.known = read_feature_names(root.member("known"), table);
    // Without a sound reading of the parts there is nothing to compare.
    if (auto verdict = document.verdict(); !verdict) return std::unexpected(verdict.error());
    check_features_against_raw(root, profile);
    if (auto verdict = document.verdict(); !verdict) return std::unexpected(verdict.error());
    return profile;
}

}  // namespace cpulevel::profile
