// The questions about moving, each answered for itself (docs/levelling.md, "Direction matters"): an upward move and a
// downward move fail for different reasons, and one yes does not follow from another.
//   1. may a process levelled to L start here?
//   2. may one that was checkpointed under L come here?
//   3. may one that is started here under L go there?
// And differences between any two of profile and level.
#pragma once

#include <string>
#include <vector>

#include "arch/feature.h"
#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::level {

enum class Verdict : std::uint8_t { yes, no, unknown };
[[nodiscard]] std::string_view name(Verdict verdict);

struct Answer {
    Verdict verdict = Verdict::yes;     // no outweighs unknown outweighs yes
    arch::FeatureSet missing;           // features of the level that the machine has not
    arch::FeatureSet undescribed;       // features of the level of which the description does not say
    std::vector<std::string> reasons;   // for no and unknown: names, sizes
    std::vector<std::string> cautions;  // true even where the answer is yes
};

[[nodiscard]] Answer may_start(const Level& level, const profile::NodeProfile& here);
// The same as an error, for whoever is to give the level: "no" is one, what is not known is not.
[[nodiscard]] Result<void> check_given(const Level& level, const profile::NodeProfile& here);
[[nodiscard]] Answer may_be_restored(const Level& level, const profile::NodeProfile& here);
[[nodiscard]] Answer may_move(const Level& level, const profile::NodeProfile& here, const profile::NodeProfile& there);
// May what runs under `from` go on wherever what runs under `to` may? (level against level)
[[nodiscard]] Answer may_serve(const Level& from, const Level& to);

// One value that differs: "AT_MINSIGSTKSZ", "2632", "11952"; empty: not told.
struct ValueDifference {
    std::string what;
    std::string a;
    std::string b;
};

struct Difference {
    bool same_architecture = true;    // false: nothing else is compared
    arch::FeatureSet only_a, only_b;  // the other one is known to lack it
    arch::FeatureSet unsure;          // one has it, the other's description does not say
    arch::FeatureSet both;
    std::vector<ValueDifference> values;  // XSAVE layout, signal stack, registers, identity
};
// For a level, pass as_node(level) (meet.h).
[[nodiscard]] Difference compare(const profile::NodeProfile& a, const profile::NodeProfile& b);

}  // namespace cpulevel::level
