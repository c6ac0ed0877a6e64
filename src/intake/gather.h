// Reading a fleet: from one file to a hundred thousand, in folders, tar archives and JSON lines, into types of nodes
// (fleet/types.h). Several threads read; the result does not depend on how many. The memory that is used does not grow
// with the size of the descriptions, only with the number of names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "fleet/types.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::intake {

// A path ("-": standard input) or a node that is known already (a named level).
using Source = std::variant<std::string, profile::NodeProfile>;

struct GatherOptions {
    bool keep_going = false;  // go on after a description that cannot be read
    std::size_t threads = 0;  // 0: one for each CPU
    // Called now and then from the caller's thread; `total` is 0 where it is not known.
    std::function<void(std::size_t done, std::size_t total)> progress;
};

struct Gathered {
    fleet::Fleet fleet;
    std::vector<std::uint32_t> type_of;  // of each node, in the order in which they were given; a type's names are in
                                         // the same order
    std::vector<Error> faults;           // keep_going: what could not be read, in order; at most kMostFaults kept
    std::size_t fault_count = 0;
    // Of the faults, those behind which an unknown number of nodes is missing: archives, streams and listings that end too
    // early, folders that cannot be read.
    std::size_t cut_count = 0;
    std::size_t links_skipped = 0;   // symbolic links in folders and archives
    std::size_t others_skipped = 0;  // pipes, sockets, devices
};
inline constexpr std::size_t kMostFaults = 1000;
inline constexpr std::size_t kMostNodes = 10'000'000;

// Without keep_going the first thing that cannot be read is the error. Nodes of one name are told apart by their
// source.
[[nodiscard]] Result<Gathered> gather(const std::vector<Source>& sources, const GatherOptions& options);

}  // namespace cpulevel::intake
