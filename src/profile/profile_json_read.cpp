#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "profile/cpu_list.h"
#include "profile/derive.h"
#include "profile/json_reader.h"
#include "profile/profile_json.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

constexpr std::size_t kMostGroups = 65536, kMostLeaves = 8192, kMostNotes = 4096, kMostRegisters = 256;
constexpr std::uint64_t kWord = ~std::uint64_t{0};
constexpr std::uint64_t kRegister = 0xffffffffU;
constexpr std::uint64_t kMaximumPage = 1U << 30U;          // bytes
constexpr std::uint64_t kMaximumSignalStack = 64U << 20U;  // bytes

constexpr std::string_view kSchemaFamily = "cpulevel/profile/";

std::uint32_t word32(const JsonValue& value) { return static_cast<std::uint32_t>(value.hex(kRegister)); }
std::uint32_t small(const JsonValue& value, std::uint64_t largest) {
    return static_cast<std::uint32_t>(value.number(largest));
}

bool read_schema(const JsonValue& root) {
    const auto value = root.member("schema");
    const std::string schema = value.string();
    if (schema == kProfileSchema) return true;
    if (schema.starts_with(kSchemaFamily) && parse_decimal(schema.substr(kSchemaFamily.size())).value_or(0) > 1) {
        value.fail(fmt::format("\"{}\" is newer than this program, which reads \"{}\"", printable(schema),
                               kProfileSchema),
                   "use a newer cpulevel, or make the profile again with this one");
    } else {
        value.fail(fmt::format("\"{}\" is not a profile; expected \"{}\"", printable(schema), kProfileSchema),
                   schema.starts_with("cpulevel/level/") ? "this is a level; give it where a level is taken" : "");
    }
    return false;
}

std::optional<arch::Architecture> read_architecture(const JsonValue& root) {
    const auto value = root.member("architecture");
    const std::string text = value.string();
    const auto architecture = arch::find_architecture(text);
    if (architecture && text == arch::name(*architecture)) return architecture;
    std::vector<std::string> all;
    for (const arch::Architecture known : arch::architectures()) all.emplace_back(arch::name(known));
    value.fail(fmt::format("unknown architecture \"{}\"; known are {}", printable(text), join(all, ", ")));
    return std::nullopt;
}

// Profiles hold hundreds of names, and always the canonical ones: the table's lenient search is for people.
std::optional<arch::FeatureId> find_exactly(const arch::FeatureTable& table, std::string_view name) {
    using Index = std::unordered_map<std::string_view, arch::FeatureId>;
    static const auto indexes = [] {
        std::map<arch::Architecture, Index> all;
        for (const arch::Architecture architecture : arch::architectures()) {
            const auto features = arch::table(architecture).features();
            for (std::size_t i = 0; i < features.size(); ++i) {
                all[architecture].emplace(features[i].name, arch::FeatureId{static_cast<std::uint16_t>(i)});
            }
        }
        return all;
    }();
    const Index& index = indexes.at(table.architecture());
    const auto at = index.find(name);
    return at == index.end() ? std::nullopt : std::optional(at->second);
}

arch::FeatureSet read_features(const JsonValue& list, const arch::FeatureTable& table) {
    arch::FeatureSet set;
    for (const JsonValue& item : list.items(arch::kMaximumFeatures)) {
        const std::string text = item.string();
        const auto id = find_exactly(table, text);
        if (!id) {
            std::string hint;
            if (const auto alias = table.find(text)) {
                hint = fmt::format("its name here is \"{}\"", table[*alias].name);
            } else if (const auto near = table.suggest(text); !near.empty()) {
                hint = fmt::format("did you mean \"{}\"?", near.front());
            } else {
                hint = "a newer cpulevel may have written the file";
            }
            item.fail(fmt::format("unknown feature \"{}\"", printable(text)), hint);
            return set;
        }
        if (set.contains(*id)) item.fail(fmt::format("\"{}\" is there twice", text));
        set.insert(*id);
    }
    return set;
}

Identity read_identity(const JsonValue& value) {
    value.only({"vendor", "brand", "family", "model", "stepping"});
    return {.vendor = value.member("vendor").string(),
            .brand = value.member("brand").string(),
            .family = small(value.member("family"), 0xffff),
            .model = small(value.member("model"), 0xffff),
            .stepping = small(value.member("stepping"), 0xffff)};
}

void read_hwcap(const JsonValue& value, NodeProfile& profile) {
    value.only({"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"});
    constexpr std::array<std::string_view, 4> keys{"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"};
    const auto& table = arch::table(profile.architecture);
    for (std::size_t word = 0; word < keys.size(); ++word) {
        const auto entry = value.maybe(keys[word]);
        if (!entry) continue;
        entry->only({"value", "names"});
        profile.hwcap[word] = entry->member("value").hex(kWord);
        // The names are for people; they must not say more than the bits do.
        std::array<std::optional<std::uint64_t>, 4> alone{};
        alone[word] = profile.hwcap[word];
        const auto list = entry->member("names");
        const auto wrong = read_features(list, table) - table.from_hwcap(alone);
        if (!wrong.empty()) {
            list.fail(fmt::format("{} named, but not in the value", names(profile.architecture, wrong).front()));
        }
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
            item.fail(fmt::format("leaf 0x{:x}, subleaf 0x{:x} is there twice", key.leaf, key.subleaf));
        }
    }
    return dump;
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
    layout.xcr0 = xcr0.hex(kWord);
    layout.xcr0_enabled = value.member("xcr0_enabled").boolean();
    layout.standard_size = small(value.member("standard_size"), kMaximumXsaveSize);
    layout.maximum_size = small(value.member("maximum_size"), kMaximumXsaveSize);
    layout.compacted_size = small(value.member("compacted_size"), kMaximumXsaveSize);
    if (layout.standard_size > layout.maximum_size) {
        value.fail(fmt::format("standard_size {} is larger than maximum_size {}", layout.standard_size,
                               layout.maximum_size));
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
        features.fail(fmt::format("{} is in \"features\" but not in \"known\"",
                                  names(profile.architecture, unfounded).front()));
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
        profile.registers.emplace(key, value.hex(kWord));
    }
    for (const JsonValue& note : root.member("notes").items(kMostNotes)) {
        profile.notes.push_back(note.string(1U << 16U));
    }
}

}  // namespace

Result<NodeProfile> from_json(std::string_view text, std::string name) {
    auto document = JsonDocument::parse(text, "not a valid profile", std::move(name));
    if (!document) return std::unexpected(document.error());
    const JsonValue root = (*document)->root();
    NodeProfile profile;
    // A newer file is refused as such, not for the first key that this version does not know.
    if (!read_schema(root)) return std::unexpected((*document)->verdict().error());
    const auto architecture = read_architecture(root);
    if (!architecture) return std::unexpected((*document)->verdict().error());
    profile.architecture = *architecture;
    root.only({"schema", "name", "architecture", "origin", "kernel", "hypervisor", "identity", "hwcap", "cpus",
               "features", "known", "notes", "minimum_signal_stack", "page_size", "platform", "cpuid_faulting",
               "xsave", "registers"});
    profile.name = root.member("name").string();
    profile.origin = root.member("origin").string(128);
    profile.kernel = root.member("kernel").string();
    profile.hypervisor = root.member("hypervisor").string();
    profile.identity = read_identity(root.member("identity"));
    read_hwcap(root.member("hwcap"), profile);
    read_cpus(root.member("cpus"), profile);
    read_optional_values(root, profile);
    if (const auto value = root.maybe("xsave")) {
        profile.xsave = read_xsave(*value);
        check_xsave_against_raw(*value, profile);
    }
    const auto& table = arch::table(profile.architecture);
    profile.features = read_features(root.member("features"), table);
    profile.known = read_features(root.member("known"), table);
    // Without a sound reading of the parts there is nothing to compare.
    if (auto verdict = (*document)->verdict(); !verdict) return std::unexpected(verdict.error());
    check_features_against_raw(root, profile);
    if (auto verdict = (*document)->verdict(); !verdict) return std::unexpected(verdict.error());
    return profile;
}

}  // namespace cpulevel::profile
