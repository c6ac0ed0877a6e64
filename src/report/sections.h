// The sections of the page, each a function of the prepared report.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/fold_names.h"
#include "report/report.h"

namespace cpulevel::report {

// What every section needs of a report, worked out once.
struct Prepared {
    const Report& report;
    const arch::FeatureTable& table;
    const Limits& limits;
    std::vector<const NodeType*> types{};   // what costs most first, then the most nodes
    std::vector<std::size_t> place{};       // of Report::types[i] among them
    std::vector<std::string> names{};       // of the types: short, each another; visible text, not escaped
    std::vector<std::vector<FoldedNames>> folded{};  // names of each type's nodes
    std::size_t nodes = 0;
    arch::FeatureSet usable{};              // by programs; the table's
    arch::FeatureSet some{};                // some type has it
    std::map<arch::FeatureId, const level::Loss*> losses{};

    [[nodiscard]] std::size_t users(const arch::FeatureSet& set) const { return (set & usable).size(); }
    [[nodiscard]] std::size_t columns() const { return std::min(types.size(), limits.columns); }
};
[[nodiscard]] Prepared prepare(const Report& report, const Limits& limits);

[[nodiscard]] std::string glance_section(const Prepared& prepared);
[[nodiscard]] std::string types_section(const Prepared& prepared);
[[nodiscard]] std::string matrix_section(const Prepared& prepared);
[[nodiscard]] std::string pools_section(const Prepared& prepared);
[[nodiscard]] std::string nodes_section(const Prepared& prepared);
[[nodiscard]] std::string notes_section(const Prepared& prepared);
// What the script needs: features and their explanations, types, folded node names.
[[nodiscard]] std::string data_json(const Prepared& prepared);

// "1 node", "12,345 nodes"
[[nodiscard]] std::string count(std::size_t number, std::string_view noun);
[[nodiscard]] std::string thousands(std::size_t number);
// A bar of `part` out of `whole`; decoration, hidden from those who are read to.
[[nodiscard]] std::string bar(std::size_t part, std::size_t whole, std::string_view kind);
// "Core i7-4770, N95 and 3 more": short names, as markup.
[[nodiscard]] std::string some_types(const Prepared& prepared, std::span<const std::size_t> places, std::size_t most);
// "x86-64-v2", or "no standard level" where there is none.
[[nodiscard]] std::string level_name(const Prepared& prepared, const arch::FeatureSet& features);

}  // namespace cpulevel::report
