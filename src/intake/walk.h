// The files of a folder and of the folders in it, sorted by path, without following links.
#pragma once

#include <string>
#include <vector>

#include "util/error.h"

namespace cpulevel::intake {

struct Walked {
    std::vector<std::string> files;
    std::size_t links = 0;   // symbolic links, not followed
    std::size_t others = 0;  // sockets, pipes, devices
    std::vector<Error> unreadable;  // folders that could not be read
};

// Names that begin with a dot (temporary files of editors, ..data of mounted ConfigMaps) are left out.
[[nodiscard]] Result<Walked> walk(const std::string& folder);

}  // namespace cpulevel::intake
