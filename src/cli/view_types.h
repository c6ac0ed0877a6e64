// Large numbers, and a meet of types of nodes instead of single ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "cli/view.h"

namespace cpulevel::cli {

[[nodiscard]] std::string with_commas(std::uint64_t number);  // "100,000"
[[nodiscard]] std::string nodes_count(std::uint64_t nodes);   // "1 node", "100,000 nodes"

// As losses_text of view.h; each of `nodes` stands for so many of its type. Without counts, for itself.
[[nodiscard]] std::string losses_text(const level::Meet& meet, std::span<const profile::NodeProfile> nodes,
                                      std::span<const std::size_t> counts, const View& view);

}  // namespace cpulevel::cli
