#include <fmt/format.h>

#include <array>

#include "level/expression.h"
#include "level/feature_text.h"
#include "level/level_json.h"
#include "profile/json_reader.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using profile::JsonDocument;
using profile::JsonValue;

constexpr std::size_t kMostLeaves = 8192, kMostNodes = 65536, kMostWarnings = 65536, kMostRegisters = 256;
constexpr std::uint64_t kWord = ~std::uint64_t{0};
constexpr std::uint64_t kRegister = 0xffffffffU;
constexpr std::uint64_t kMaximumArea = 1U << 20U;          // bytes, of an XSAVE area
constexpr std::uint64_t kMaximumSignalStack = 64U << 20U;  // bytes
constexpr unsigned kMaximumComponent = 62;                 // bit 63 of XCR0 is no component (SDM vol. 1, 13.1)
// A level with the node types that it was made of (fleet/kept.h). Who runs programs under it does not read them.
constexpr std::string_view kSchemaWithTypes = "cpulevel/level/2";
constexpr std::string_view kSchemaFamily = "cpulevel/level/";

std::uint32_t word32(const JsonValue& value) { return static_cast<std::uint32_t>(value.hex(kRegister)); }
std::uint32_t small(const JsonValue& value, std::uint64_t largest) {
    return static_cast<std::uint32_t>(value.number(largest));
}

bool read_schema(const JsonValue& root) {
    const auto value = root.member("schema");
    const std::string schema = value.string();
    if (schema == kLevelSchema || schema == kSchemaWithTypes) return true;
    if (schema.starts_with(kSchemaFamily) && parse_decimal(schema.substr(kSchemaFamily.size())).value_or(0) > 2) {
        value.fail(fmt::format("\"{}\" is newer than this program, which reads \"{}\"", printable(schema), kLevelSchema),
                   "use a newer cpulevel, or make the level again with this one");
    } else {
        value.fail(fmt::format("\"{}\" is not a level; expected \"{}\"", printable(schema), kLevelSchema),
                   schema.starts_with("cpulevel/profile/")
                       ? "this is a node profile; cpulevel baseline makes a level of profiles"
                       : "");
    }
    return false;
}

std::optional<arch::Architecture> read_architecture(const JsonValue& root) {
    const auto value = root.member("architecture");
    const std::string text = value.string();
    const auto architecture = arch::find_architecture(text);
    if (architecture && text == arch::name(*architecture)) return architecture;
    value.fail(fmt::format("unknown architecture \"{}\"", printable(text)));
    return std::nullopt;
}

arch::FeatureSet read_features(const JsonValue& list, const arch::FeatureTable& table) {
    arch::FeatureSet set;
    for (const JsonValue& item : list.items(arch::kMaximumFeatures)) {
        const std::string text = item.string();
        const auto id = table.find(text);
        if (!id || table[*id].name != text) {
            std::string hint = "a newer cpulevel may have written the file";
            if (id) {
                hint = fmt::format("its name here is \"{}\"", table[*id].name);
            } else if (const auto near = table.suggest(text); !near.empty()) {
                hint = fmt::format("did you mean \"{}\"?", near.front());
            }
            item.fail(fmt::format("unknown feature \"{}\"", printable(text)), hint);
            return set;
        }
        if (set.contains(*id)) item.fail(fmt::format("\"{}\" is there twice", text));
        set.insert(*id);
    }
    return set;
}

void read_hwcap(const JsonValue& value, Level& level) {
    constexpr std::array<std::string_view, 4> keys{"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"};
    value.only({"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"});
    const auto& table = arch::table(level.architecture);
    for (std::size_t word = 0; word < keys.size(); ++word) {
        const auto entry = value.maybe(keys.at(word));
        if (!entry) continue;
        entry->only({"value", "names"});
        level.hwcap.at(word) = entry->member("value").hex(kWord);
        std::array<std::optional<std::uint64_t>, 4> alone{};
        alone.at(word) = level.hwcap.at(word);
        const auto list = entry->member("names");
        // The names are for people; they must not say more than the bits do.
        const auto wrong = read_features(list, table) - table.from_hwcap(alone);
        if (!wrong.empty()) list.fail(fmt::format("{} named, but not in the value", name_some(table, wrong)));
    }
}

arch::CpuidDump read_cpuid(const JsonValue& list) {
    arch::CpuidDump dump;
    for (const JsonValue& item : list.items(kMostLeaves)) {
        item.only({"leaf", "subleaf", "eax", "ebx", "ecx", "edx"});
        const arch::CpuidKey key{word32(item.member("leaf")), word32(item.member("subleaf"))};
        const arch::CpuidRegisters registers{word32(item.member("eax")), word32(item.member("ebx")),
                                             word32(item.member("ecx")), word32(item.member("edx"))};
        if (!dump.emplace(key, registers).second) {
            item.fail(fmt::format("leaf {:#x}, subleaf {:#x} is there twice", key.leaf, key.subleaf));
        }
    }
    return dump;
}

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
    xsave.visible = value.member("visible").hex(kWord);
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
        level.registers.emplace(key, value.hex(kWord));
    }
    for (const JsonValue& item : root.member("nodes").items(kMostNodes)) {
        item.only({"name", "origin", "brand"});
        level.nodes.push_back({item.member("name").string(), item.member("origin").string(128),
                               item.member("brand").string(256)});
    }
    for (const JsonValue& item : root.member("warnings").items(kMostWarnings)) {
        level.warnings.push_back(item.string(1U << 16U));
    }
}

}  // namespace

Result<Level> from_json(std::string_view text, std::string name) {
    auto document = JsonDocument::parse(text, "not a valid level", std::move(name));
    if (!document) return std::unexpected(document.error());
    const JsonValue root = (*document)->root();
    const auto verdict = [&] { return (*document)->verdict(); };
    // A newer file is refused as such, not for the first key that this version does not know.
    if (!read_schema(root)) return std::unexpected(verdict().error());
    const auto architecture = read_architecture(root);
    if (!architecture) return std::unexpected(verdict().error());

    root.only({"schema", "name", "architecture", "features", "undetermined", "hwcap", "minimum_signal_stack", "platform",
               "registers", "xsave", "enabled_components", "cpuid", "identity", "nodes", "warnings", "types"});
    const auto types = root.maybe("types");
    if (types.has_value() != (root.member("schema").string() == kSchemaWithTypes)) {
        root.fail(fmt::format("\"types\" belong to \"{}\", and to no other", kSchemaWithTypes));
    }
    if (types) (void)types->items(kMostNodes);
    const auto& table = arch::table(*architecture);
    Level level;
    level.architecture = *architecture;
    level.name = root.member("name").string();
    level.features = read_features(root.member("features"), table);
    level.undetermined = read_features(root.member("undetermined"), table);
    read_hwcap(root.member("hwcap"), level);
    read_lists(root, level);
    level.cpuid = read_cpuid(root.member("cpuid"));
    if (const auto value = root.maybe("minimum_signal_stack")) {
        value->only({"bytes", "node"});
        level.minimum_signal_stack = value->member("bytes").number(kMaximumSignalStack);
        level.minimum_signal_stack_node = value->member("node").string();
    }
    if (const auto value = root.maybe("platform")) level.platform = value->string(64);
    if (const auto value = root.maybe("enabled_components")) level.enabled_components = value->hex(kWord);
    if (const auto value = root.maybe("xsave")) level.xsave = read_xsave(*value);
    if (const auto value = root.maybe("identity")) level.identity = read_identity(*value);
    // Without a sound reading of the parts there is nothing to compare.
    if (auto good = verdict(); !good) return std::unexpected(good.error());

    if (const std::string wrong = contradiction(level); !wrong.empty()) {
        root.member("features").fail(wrong, "the file was edited or damaged; make the level again with cpulevel baseline");
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
            return fmt::format("XSAVE component {} is {}", number, visible ? "visible, but not laid out" : "laid out, but not visible");
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
