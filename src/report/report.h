// The report: one self-contained HTML page that answers at a glance what the level is, what it costs and who holds it
// down, and below that lets one look closer (docs/report.md). Pure: a Report in, text out; the same Report gives the
// same bytes. Names and brand strings come out of files that others wrote: nothing here trusts them (html.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "arch/feature_set.h"
#include "level/level.h"
#include "level/meet.h"

namespace cpulevel::report {

// Nodes that a level cannot tell apart: a row of the tables and a column of the matrix.
struct NodeType {
    std::string cpu{};                 // the brand string, else the vendor; as the files have it
    std::size_t count = 0;             // of nodes
    std::vector<std::string> nodes{};  // their names; fewer than `count` where nodes were counted, not named
    arch::FeatureSet features{};       // usable
    arch::FeatureSet known{};          // of which the description says yes or no
    arch::FeatureSet switched_off{};   // the CPU has it, the system does not enable it
    arch::FeatureSet gained_without{}; // what the level would gain, were this type alone left out
};

// What the level would gain if all nodes of these types were left out.
struct Removal {
    std::vector<std::size_t> types{};  // indices into Report::types
    arch::FeatureSet gained{};
};

struct Pool {
    std::vector<std::size_t> types{};  // indices into Report::types
    arch::FeatureSet features{};       // of the pool's own level
};

// The fleet in several pools, each with a level of its own.
struct Split {
    std::vector<Pool> pools{};
    bool exact = true;                 // no better division exists; false: the best that was found
};

struct Report {
    level::Level level{};
    std::vector<level::Loss> losses{};
    std::optional<level::Largest> xsave_area{};
    std::optional<level::Largest> signal_stack{};
    std::vector<NodeType> types{};     // in any order; the page orders them by what they cost
    std::vector<Removal> steps{};      // the way up: each leaves out more than the one before; may be empty
    std::vector<Split> splits{};       // by number of pools, rising; may be empty
    std::string made{};                // when, as text; may be empty
    std::string version{};             // of cpulevel
};

// How large a page may become, and what is left out beyond it. What is left out is counted on the page.
struct Limits {
    std::size_t columns = 64;            // types that have a column of their own in the matrix; the others share one
    std::size_t type_rows = 250;         // rows of the table of types
    std::size_t name_bytes = 1'100'000;  // folded node names that can be searched
    std::size_t listed_bytes = 120'000;  // of those, shown as text as well
};

[[nodiscard]] std::string page(const Report& report, const Limits& limits = {});

// "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz" as "Xeon E5-2680 v3".
[[nodiscard]] std::string short_cpu(std::string_view brand);

}  // namespace cpulevel::report
