#include "profile/import/tool_names.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::FeatureId;

std::string squeezed(std::string_view name) {
    std::string key;
    for (const char c : lower(name)) {
        if (c != '_' && c != '-' && c != '.') key += c;
    }
    return key;
}

const std::map<std::string, FeatureId>& squeezed_names(const arch::FeatureTable& table) {
    static const std::map<arch::Architecture, std::map<std::string, FeatureId>> all = [] {
        std::map<arch::Architecture, std::map<std::string, FeatureId>> result;
        for (const arch::Architecture architecture : arch::architectures()) {
            auto& names = result[architecture];
            const auto features = arch::table(architecture).features();
            for (std::size_t i = 0; i < features.size(); ++i) {
                const FeatureId id{static_cast<std::uint16_t>(i)};
                names.try_emplace(squeezed(features[i].name), id);
                for (const std::string_view alias : features[i].aliases) names.try_emplace(squeezed(alias), id);
            }
        }
        return result;
    }();
    return all.at(table.architecture());
}

}  // namespace

std::optional<FeatureId> find_feature(const arch::FeatureTable& table, std::string_view name,
                                      std::span<const Synonym> synonyms) {
    const auto synonym = std::ranges::find(synonyms, name, &Synonym::first);
    if (synonym != synonyms.end()) return table.find(synonym->second);
    if (name.size() > 64) return std::nullopt;
    if (const auto id = table.find(name)) return id;
    const auto& names = squeezed_names(table);
    const auto at = names.find(squeezed(name));
    if (at == names.end()) return std::nullopt;
    return at->second;
}

arch::FeatureSet printed_in_full(const arch::FeatureTable& table) {
    using arch::Register;
    constexpr std::array<arch::CpuidPlace, 6> kWords{{{1, 0, Register::ecx, 0},
                                                      {1, 0, Register::edx, 0},
                                                      {7, 0, Register::ebx, 0},
                                                      {0x80000001, 0, Register::ecx, 0},
                                                      {0x80000001, 0, Register::edx, 0},
                                                      {0xd, 1, Register::eax, 0}}};
    arch::FeatureSet set;
    table.all().for_each([&](FeatureId id) {
        const auto places = table[id].cpuid;
        if (places.empty()) return;
        const bool printed = std::ranges::any_of(kWords, [&](const arch::CpuidPlace& word) {
            return word.leaf == places.front().leaf && word.subleaf == places.front().subleaf &&
                   word.reg == places.front().reg;
        });
        if (printed) set.insert(id);
    });
    return set;
}

}  // namespace cpulevel::profile::import
