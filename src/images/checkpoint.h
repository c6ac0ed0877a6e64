// A folder of CRIU images as one whole: its processes with their threads, mappings and memory.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "images/messages.h"
#include "images/pages.h"
#include "inherit/aux_vector.h"
#include "util/error.h"

namespace cpulevel::images {

struct MappedArea {
    Area area;
    std::string path;  // of a mapped file; empty: anonymous, or not in the list of files
};

struct DumpedProcess {
    pid_t pid = 0;
    std::string name;
    arch::Architecture architecture = arch::Architecture::x86_64;
    bool is_32bit = false;
    std::vector<std::pair<pid_t, Core>> threads;
    std::optional<inherit::AuxVector> aux_vector;
    std::vector<MappedArea> areas;
    std::optional<Pages> pages;
    std::string no_pages_because;  // empty: there are
};

struct Checkpoint {
    std::vector<DumpedProcess> processes;  // zombies left out
};

// Errors (usage): not a folder of images; a file that is missing, damaged or of an unknown version, with its name.
[[nodiscard]] Result<Checkpoint> read_checkpoint(const std::string& folder);

}  // namespace cpulevel::images
