// What `cpulevel` does as an action script of CRIU (--action-script). CRIU calls it with CRTOOLS_SCRIPT_ACTION in the
// environment, in this order (criu/cr-dump.c, criu/cr-restore.c, action-scripts.c of CRIU 3.17 to 4.2):
//
//   dump     pre-dump      nothing is stopped yet; an exit status but 0 ends the dump
//            post-dump     all is written and CRIU still holds the processes; an exit status but 0: they go on, the
//            dump failed (nothing)     where the dump fails, where they are left running: hence the guard (guard.h)
//   restore  pre-restore   nothing is there yet; an exit status but 0 ends the restore
//            post-resume   all is there and runs, or is stopped as it was dumped; the exit status is ignored
//
// A folder without cpulevel.json and a tree without a level are none of ours: the script then does nothing, so that it
// can stand in CRIU's configuration for every dump on a machine.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "audit/target.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

struct ActionSetup {
    std::string action;                   // CRTOOLS_SCRIPT_ACTION
    std::string images;                   // CRTOOLS_IMAGE_DIR
    pid_t root = 0;                       // CRTOOLS_INIT_PID; 0: not told
    pid_t criu = 0;                       // who calls
    std::optional<audit::Target> target;  // post-dump: the images must be able to go there
    bool force = false;                   // what is found against a move is said, and no reason to stop
    std::string version;                  // of cpulevel
    std::chrono::seconds patience{10};
    std::function<void(const std::string&)> say;  // a line for CRIU's log
    // The same for who is not there any more: the guard works when CRIU and its log are gone.
    std::function<void(const std::string&)> complain;
};

[[nodiscard]] Result<void> run_action(const ActionSetup& setup);

}  // namespace cpulevel::checkpoint
