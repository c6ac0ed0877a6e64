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

// Nothing where the text is no such container. Errors: one that is damaged, or that holds nothing.
[[nodiscard]] std::optional<Result<std::vector<Contained>>> unpack(std::string_view text, const std::string& name);

}  // namespace cpulevel::intake
