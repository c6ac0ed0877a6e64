#include "profile/json_parts.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <vector>

#include "util/text.h"

namespace cpulevel::profile {
namespace {

constexpr std::size_t kMostLeaves = 8192;
constexpr std::array<std::string_view, 4> kHwcapNames{"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"};

// Files hold hundreds of names, and always the canonical ones: the table's lenient search is for people.
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

std::vector<std::string> names_in(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    std::vector<std::string> names;
    set.for_each([&](arch::FeatureId id) { names.emplace_back(table[id].name); });
    return names;
}

}  // namespace

std::uint32_t word32(const JsonValue& value) { return static_cast<std::uint32_t>(value.hex(0xffffffffU)); }

std::uint32_t small(const JsonValue& value, std::uint64_t largest) {
    return static_cast<std::uint32_t>(value.number(largest));
}

std::optional<unsigned> read_schema(const JsonValue& root, const SchemaFamily& family) {
    const auto value = root.member("schema");
    const std::string schema = value.string();
    if (schema.starts_with(family.family)) {
        const std::string_view digits = std::string_view(schema).substr(family.family.size());
        const auto version = parse_decimal(digits);
        if (version && *version >= 1 && *version <= family.newest && digits == std::to_string(*version)) {
            return static_cast<unsigned>(*version);
        }
        if (version.value_or(0) > family.newest) {
            value.fail(fmt::format("\"{}\" is newer than this program, which reads \"{}1\"{}", printable(schema),
                                   family.family,
                                   family.newest > 1 ? fmt::format(" to \"{}{}\"", family.family, family.newest) : ""),
                       fmt::format("use a newer cpulevel, or make the {} again with this one", family.what));
            return std::nullopt;
        }
    }
    value.fail(fmt::format("\"{}\" is not a {}; expected \"{}1\"", printable(schema), family.what, family.family),
               schema.starts_with(family.other) ? std::string(family.other_hint) : "");
    return std::nullopt;
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

arch::FeatureSet read_feature_names(const JsonValue& list, const arch::FeatureTable& table) {
    arch::FeatureSet set;
    for (const JsonValue& item : list.items(arch::kMaximumFeatures)) {
        const std::string text = item.string();
        const auto id = find_exactly(table, text);
        if (!id) {
            std::string hint = "a newer cpulevel may have written the file";
            if (const auto alias = table.find(text)) {
                hint = fmt::format("its name here is \"{}\"", table[*alias].name);
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

Hwcaps read_hwcap(const JsonValue& value, const arch::FeatureTable& table) {
    Hwcaps words;
    value.only({"AT_HWCAP", "AT_HWCAP2", "AT_HWCAP3", "AT_HWCAP4"});
    for (std::size_t word = 0; word < kHwcapNames.size(); ++word) {
        const auto entry = value.maybe(kHwcapNames.at(word));
        if (!entry) continue;
        entry->only({"value", "names"});
        words.at(word) = entry->member("value").hex(kWord64);
        Hwcaps alone{};
        alone.at(word) = words.at(word);
        const auto list = entry->member("names");
        // The names are for people; they must not say more than the bits do.
        const auto wrong = read_feature_names(list, table) - table.from_hwcap(alone);
        if (!wrong.empty()) list.fail(fmt::format("{} named, but not in the value", names_in(table, wrong).front()));
    }
    return words;
}

nlohmann::json hwcap_json(const Hwcaps& words, const arch::FeatureTable& table) {
    nlohmann::json result = nlohmann::json::object();
    for (std::size_t word = 0; word < words.size(); ++word) {
        if (!words.at(word)) continue;
        Hwcaps alone{};
        alone.at(word) = words.at(word);
        result[std::string(kHwcapNames.at(word))] = {{"value", hex64(*words.at(word))},
                                                     {"names", names_in(table, table.from_hwcap(alone))}};
    }
    return result;
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

nlohmann::json cpuid_json(const arch::CpuidDump& dump) {
    nlohmann::json leaves = nlohmann::json::array();
    for (const auto& [key, registers] : dump) {
        leaves.push_back({{"leaf", hex32(key.leaf)},
                          {"subleaf", hex32(key.subleaf)},
                          {"eax", hex32(registers.eax)},
                          {"ebx", hex32(registers.ebx)},
                          {"ecx", hex32(registers.ecx)},
                          {"edx", hex32(registers.edx)}});
    }
    return leaves;
}

std::string hex32(std::uint32_t value) { return fmt::format("0x{:08x}", value); }
std::string hex64(std::uint64_t value) { return fmt::format("0x{:x}", value); }

}  // namespace cpulevel::profile
