// Node descriptions inside of what other tools print: Kubernetes ConfigMaps (`kubectl get configmaps -o json`) and
// keys of etcd (`etcdctl get --prefix KEY`, plain or with -w json). Whatever is in them is taken out as text with the
// name of the place, and read as if it were a file of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::intake {

struct Contained {
    std::string name;  // "configmap cpulevel/node7: profile.json", "/cpulevel/nodes/node7"
    std::string text;
};

struct Unpacked {
    std::vector<Result<Contained>> entries;  // in their order; the error of one says nothing about the others
    bool cut = false;                        // it ends too early: what was behind the last entry is not known
};

// Nothing where the text is no such container. Errors: one that is damaged as a whole, or that holds nothing.
[[nodiscard]] std::optional<Result<Unpacked>> unpack(std::string_view text, const std::string& name);

}  // namespace cpulevel::intake
