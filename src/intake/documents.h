// One text as nodes: a profile, a level, a foreign description, or what kubectl and etcdctl print.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::intake {

struct Described {
    std::vector<profile::NodeProfile> nodes;
    std::vector<Error> faults;  // what cannot be read; the nodes are those of the rest
    bool cut = false;           // an unknown number of nodes is missing
};

[[nodiscard]] Described nodes_of(std::string_view text, const std::string& name);

// JSON lines: more than one line, and the first is a whole JSON object; but not a session with QEMU.
[[nodiscard]] bool looks_like_json_lines(std::string_view first);

}  // namespace cpulevel::intake
