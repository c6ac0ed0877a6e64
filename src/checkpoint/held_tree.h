// A process and all below it, about to be dumped by CRIU: every levelled tree among them is let go of and left stopped,
// so that CRIU can trace it and nothing of it runs unlevelled; and, unless CRIU ended it, it is taken up again.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/record.h"
#include "engine/ptrace/adopt.h"
#include "engine/registry.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

// The levelled trees among `root` and its descendants: none, or whole ones. A tree of which a part would stay behind is
// an error (refused) that names who.
[[nodiscard]] Result<std::vector<engine::TreeView>> trees_below(pid_t root);

// What a process number on the command line means: the first process of the tree that it belongs to (as a member, as
// its supervisor, as `cpulevel run`), or itself where whole levelled trees are below it. Errors: no such process; in no
// levelled tree.
[[nodiscard]] Result<pid_t> root_to_dump(pid_t pid);

struct Held {
    struct Tree {
        pid_t root = 0;           // as we see it
        std::uint64_t since = 0;  // its start time: another process of that number is not it
        pid_t supervisor = 0;
        pid_t front = 0;                // as the supervisor says
        bool supervisor_waits = false;  // it takes the tree up again when asked; else a new one has to
        bool by_others = false;         // somebody had let it go before: it is not ours to take up
        level::Level level;
        std::vector<pid_t> stopped_before;  // as we see them
    };
    pid_t root = 0;
    std::vector<Tree> trees;
    Record record;
};

// An error leaves all as it was, or says what is where. No trees: nothing was done.
[[nodiscard]] Result<Held> hold(pid_t root, std::chrono::seconds patience, const std::string& version);

// What of the trees still runs comes back under its level. The first error is given; the others are taken up all the
// same.
[[nodiscard]] Result<std::vector<engine::ptrace::AdoptReport>> take_back(const Held& held,
                                                                         std::chrono::seconds patience);

// Does the first process of a tree still exist?
[[nodiscard]] bool is_alive(const Held::Tree& tree);

}  // namespace cpulevel::checkpoint
