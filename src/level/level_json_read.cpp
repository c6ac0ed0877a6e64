#include <fmt/format.h>

#include <array>

#include "level/expression.h"
#include "level/feature_text.h"
#include "level/level_json.h"
#include "profile/json_parts.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using profile::JsonDocument;
using profile::JsonValue;
using profile::small;

constexpr std::size_t kMostNodes = 65536, kMostWarnings = 65536, kMostRegisters = 256;
constexpr std::uint64_t kMaximumArea = 1U << 20U;          // bytes, of an XSAVE area
constexpr std::uint64_t kMaximumSignalStack = 64U << 20U;  // bytes
constexpr unsigned kMaximumComponent = 62;                 // bit 63 of XCR0 is no component (SDM vol. 1, 13.1)
// Version 2 has the node types that it was made of (fleet/kept.h). Who runs programs under it does not read them.
constexpr unsigned kVersionWithTypes = 2;
constexpr profile::SchemaFamily kSchema{
    .family = "cpulevel/level/",
    .newest = kVersionWithTypes,
    .what = "level",
    .other = "cpulevel/profile/",
    .other_hint = "this is a node profile; cpulevel baseline makes a level of profiles"};

std::map<unsigned, profile::XsaveComponent> read_components(const JsonValue& value) {
    std::map<unsigned, profile::XsaveComponent> components;
    for (const auto& [key, item] : value.members(kMaximumComponent)) {
        const auto number = parse_decimal(key);
        if (!number || *number < 2 || *number > kMaximumComponent || std::to_string(*number) != key) {
            item.fail(fmt::format("component numbers go from 2 to {}", kMaximumComponent));
            return components;
        }
        item.only({"size", "offset", "aligned"});
        components.emplace(static_cast<unsigned>(*number),
                           profile::XsaveComponent{.size = small(item.member("size"), kMaximumArea),
                                                   .offset = small(item.member("offset"), kMaximumArea),
                                                   .supervisor = false,
                                                   .aligned = item.member("aligned").boolean()});
    }
    return components;
}

LevelXsave read_xsave(const JsonValue& value) {
    value.only({"visible", "standard_size", "compacted_size", "largest_node", "components", "reserved"});
    LevelXsave xsave;
    xsave.visible = value.member("visible").hex(profile::kWord64);
    xsave.standard_size = small(value.member("standard_size"), kMaximumArea);
    xsave.compacted_size = small(value.member("compacted_size"), kMaximumArea);
    xsave.largest_node = value.member("largest_node").string();
    xsave.components = read_components(value.member("components"));
    xsave.reserved = read_components(value.member("reserved"));
    for (const auto& [number, component] : xsave.components) {
        if (component.offset + component.size > xsave.standard_size) {
            value.fail(fmt::format("component {} ends at byte {}, but the area has {}", number,
                                   component.offset + component.size, xsave.standard_size));
        }
    }
    return xsave;
}

profile::Identity read_identity(const JsonValue& value) {
    value.only({"vendor", "brand", "family", "model", "stepping"});
    return {.vendor = value.member("vendor").string(128),
            .brand = value.member("brand").string(256),
            .family = small(value.member("family"), 0xffff),
            .model = small(value.member("model"), 0xffff),
            .stepping = small(value.member("stepping"), 0xffff)};
}

void read_lists(const JsonValue& root, Level& level) {
    for (const auto& [key, value] : root.member("registers").members(kMostRegisters)) {
        level.registers.emplace(key, value.hex(profile::kWord64));
    }
    for (const JsonValue& item : root.member("nodes").items(kMostNodes)) {
        item.only({"name", "origin", "brand"});
        level.nodes.push_back(
            {item.member("name").string(), item.member("origin").string(128), item.member("brand").string(256)});
    }
    for (const JsonValue& item : root.member("warnings").items(kMostWarnings)) {
        level.warnings.push_back(item.string(1U << 16U));
    }
}

}  // namespace

Result<Level> from_json(std::string_view text, std::string name) {
    const auto document = parse_level_document(text, std::move(name));
    if (!document) return std::unexpected(document.error());
    return read_level(**document, (*document)->root());
}

Result<std::unique_ptr<JsonDocument>> parse_level_document(std::string_view text, std::string name) {
    return JsonDocument::parse(text, "not a valid level", std::move(name));
}

Result<Level> read_level(const JsonDocument& document, const JsonValue& root) {
    const auto verdict = [&] { return document.verdict(); };
    // A newer file is refused as such, not for the first key that this version does not know.
    const auto version = profile::read_schema(root, kSchema);
    if (!version) return std::unexpected(verdict().error());
    const auto architecture = profile::read_architecture(root);
    if (!architecture) return std::unexpected(verdict().error());

    root.only({"schema", "name", "architecture", "features", "undetermined", "hwcap", "minimum_signal_stack",
               "platform", "registers", "xsave", "enabled_components", "cpuid", "identity", "nodes", "warnings",
               "types"});
    const auto types = root.maybe("types");
    if (types.has_value() != (*version == kVersionWithTypes)) {
        root.fail(fmt::format("\"types\" belong to \"{}{}\", and to no other", kSchema.family, kVersionWithTypes));
    }
    if (types) (void)types->items(kMostNodes);
    const auto& table = arch::table(*architecture);
    Level level;
    level.architecture = *architecture;
    level.name = root.member("name").string();
    level.features = profile::read_feature_names(root.member("features"), table);
    level.undetermined = profile::read_feature_names(root.member("undetermined"), table);
    level.hwcap = profile::read_hwcap(root.member("hwcap"), table);
    read_lists(root, level);
    level.cpuid = profile::read_cpuid(root.member("cpuid"));
    if (const auto value = root.maybe("minimum_signal_stack")) {
        value->only({"bytes", "node"});
        level.minimum_signal_stack = value->member("bytes").number(kMaximumSignalStack);
        level.minimum_signal_stack_node = value->member("node").string();
    }
    if (const auto value = root.maybe("platform")) level.platform = value->string(64);
    if (const auto value = root.maybe("enabled_components")) level.enabled_components = value->hex(profile::kWord64);
    if (const auto value = root.maybe("xsave")) level.xsave = read_xsave(*value);
    if (const auto value = root.maybe("identity")) level.identity = read_identity(*value);
    // Without a sound reading of the parts there is nothing to compare.
    if (auto good = verdict(); !good) return std::unexpected(good.error());

    if (const std::string wrong = contradiction(level); !wrong.empty()) {
        root.member("features")
            .fail(wrong, "the file was edited or damaged; make the level again with cpulevel baseline");
        return std::unexpected(verdict().error());
    }
    return level;
}

std::string contradiction(const Level& level) {
    const auto& table = arch::table(level.architecture);
    const auto open = level.features - table.closed_subset(level.features);
    if (!open.empty()) return fmt::format("{}: what it needs is not in the level", name_some(table, open));
    if (const auto both = level.features & level.undetermined; !both.empty()) {
        return fmt::format("{}: both in the level and undetermined", name_some(table, both));
    }
    const auto shown = table.from_hwcap(level.hwcap) - level.features;
    if (!shown.empty()) return fmt::format("{}: shown by HWCAP, but not in the list", name_some(table, shown));
    if (level.architecture != arch::Architecture::x86_64) return {};

    const auto extra = table.from_cpuid(level.cpuid, std::nullopt) - level.features;
    if (!extra.empty()) return fmt::format("{}: shown by CPUID, but not in the list", name_some(table, extra));
    const bool osxsave = contains(table, level.features, "osxsave");
    if (osxsave != level.xsave.has_value()) {
        return osxsave ? "osxsave: in the list, but the level has no XSAVE layout"
                       : "osxsave: not in the list, but the level has an XSAVE layout";
    }
    if (!osxsave) return {};
    std::uint64_t used = 0;
    level.features.for_each([&](arch::FeatureId id) { used |= table[id].xcr0; });
    if ((used & ~level.xsave->visible) != 0) {
        return fmt::format("features use the XSAVE components {:#x}, of which {:#x} are not visible", used,
                           used & ~level.xsave->visible);
    }
    for (unsigned number = 2; number <= kMaximumComponent; ++number) {
        const bool visible = ((level.xsave->visible >> number) & 1U) != 0;
        if (visible != level.xsave->components.contains(number)) {
            return fmt::format("XSAVE component {} is {}", number,
                               visible ? "visible, but not laid out" : "laid out, but not visible");
        }
    }
    const auto size = arch::find(level.cpuid, 0xD, 0).value_or(arch::CpuidRegisters{}).ebx;
    if (size != level.xsave->standard_size) {
        return fmt::format("CPUID leaf 0xd promises {} bytes, the XSAVE layout {}", size, level.xsave->standard_size);
    }
    return {};
}

Result<Level> load_level_text(std::string_view text, std::string name, arch::Architecture architecture,
                              const profile::XsaveLayout* layout) {
    const std::string_view content = trim(text);
    if (content.starts_with('{')) return from_json(text, std::move(name));
    if (content.empty()) return usage_error("not a valid level", std::move(name), "the file is empty");
    auto level = parse_level(content, architecture, layout);
    if (!level) level.error().on = name + ": " + level.error().on;
    return level;
}

}  // namespace cpulevel::level
