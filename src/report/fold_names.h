// Many node names in few words: node0001 ... node5000 is node[0001-5000], rack1-a ... rack9-a with n01 ... n40 each is
// rack[1-9]-an[01-40]. Exact: unfolding gives the names that went in, each once.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace cpulevel::report {

// A name, or the product of several ranges: literal, ranges, literal, ranges, ..., literal. Ranges are a list of numbers
// and spans, "1-40,43": where both ends of a span have the same number of digits, so have all between (leading zeros);
// where they differ, there are no leading zeros.
struct FoldedNames {
    std::vector<std::string> parts;  // odd in number; those at odd places are ranges
    std::size_t count = 1;           // of names
};

// In the order of the names; doubled names count once.
[[nodiscard]] std::vector<FoldedNames> fold_names(std::span<const std::string> names);

// "rack[1-9]-n[01-40]"
[[nodiscard]] std::string to_text(const FoldedNames& folded);

// The names again.
[[nodiscard]] std::vector<std::string> unfold(const FoldedNames& folded);

}  // namespace cpulevel::report
