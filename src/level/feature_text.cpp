#include "level/feature_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/text.h"

namespace cpulevel::level {

std::vector<std::string> feature_names(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    std::vector<std::string> names;
    set.for_each([&](arch::FeatureId id) { names.emplace_back(table[id].name); });
    std::ranges::sort(names);
    return names;
}

std::string name_some(std::vector<std::string> names, std::size_t most) {
    if (names.size() <= most) return join(names, ", ");
    const std::size_t rest = names.size() - most;
    names.resize(most);
    return fmt::format("{} and {} more", join(names, ", "), rest);
}

std::string name_some(const arch::FeatureTable& table, const arch::FeatureSet& set, std::size_t most) {
    return name_some(feature_names(table, set), most);
}

arch::FeatureSet named_features(const arch::FeatureTable& table, std::initializer_list<std::string_view> names) {
    arch::FeatureSet set;
    for (const std::string_view name : names) {
        if (const auto id = table.find(name)) set.insert(*id);
    }
    return set;
}

bool contains(const arch::FeatureTable& table, const arch::FeatureSet& set, std::string_view name) {
    const auto id = table.find(name);
    return id && set.contains(*id);
}

}  // namespace cpulevel::level
