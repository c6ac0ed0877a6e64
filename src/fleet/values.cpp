#include "fleet/values.h"

#include "profile/json_reader.h"
#include "util/text.h"

namespace cpulevel::fleet {

Result<arch::FeatureId> find_feature(const arch::FeatureTable& table, std::string_view name) {
    if (const auto id = table.find(name)) return *id;
    std::vector<std::string> near;
    for (const std::string_view one : table.suggest(name)) near.emplace_back(one);
    return usage_error("unknown feature", printable(name), {},
                       near.empty() ? "`cpulevel show --features` lists them" : "did you mean " + join(near, " or ") + "?");
}

Result<FeatureValues> read_values(const arch::FeatureTable& table, std::string_view text, const std::string& name,
                                  const std::vector<std::string>& words) {
    FeatureValues values = default_values(table);
    if (!text.empty()) {
        auto document = profile::JsonDocument::parse(text, "not valid feature values", name);
        if (!document) return std::unexpected(document.error());
        const auto root = (*document)->root();
        if (const auto others = root.maybe("others")) {
            const auto value = static_cast<std::uint32_t>(others->number(kMostValue));
            for (std::uint32_t& one : values) one = one == 0 ? 0 : value;
        }
        for (const auto& [key, value] : root.members(arch::kMaximumFeatures)) {
            if (key == "others") continue;
            const auto id = find_feature(table, key);
            if (!id) {
                value.fail("unknown feature", id.error().hint);
                break;
            }
            values[id->value] = static_cast<std::uint32_t>(value.number(kMostValue));
        }
        if (auto good = (*document)->verdict(); !good) return std::unexpected(good.error());
    }
    for (const std::string& word : words) {
        const auto equals = word.find('=');
        const auto number = equals == std::string::npos ? std::nullopt : parse_decimal(std::string_view(word).substr(equals + 1));
        if (!number || *number > kMostValue) {
            return usage_error("not a feature's value", printable(word), {},
                               "NAME=N, a whole number up to " + std::to_string(kMostValue));
        }
        const auto id = find_feature(table, std::string_view(word).substr(0, equals));
        if (!id) return std::unexpected(id.error());
        values[id->value] = static_cast<std::uint32_t>(*number);
    }
    return values;
}

}  // namespace cpulevel::fleet
