// `cpulevel dump` and `cpulevel restore` as a library: CRIU with what a levelled tree needs around it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/target.h"
#include "checkpoint/judgement.h"
#include "checkpoint/record.h"
#include "checkpoint/terminal_job.h"
#include "checkpoint/uninterrupted.h"
#include "engine/ptrace/adopt.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

using Progress = std::function<void(const std::string& step)>;

struct CriuSetup {
    std::string program;               // empty: found by $PATH
    std::vector<std::string> options;  // more of CRIU's, as the user gave them
    CriuOptions wanted;
    std::string script;  // the path of this executable: it is CRIU's action script
};

struct DumpSetup {
    pid_t pid = 0;       // any process of the tree, its supervisor, `cpulevel run`
    std::string folder;  // made where it is not there
    std::string version;
    CriuSetup criu;
    bool leave_running = false;
    std::optional<audit::Target> target;  // where it is to go; then it is not dumped where it could not
    bool force = false;
    std::optional<std::chrono::milliseconds> wait;  // for signal handlers that the target cannot take
    std::chrono::seconds patience{10};
    Progress progress;
};

struct DumpReport {
    pid_t root = 0;
    std::string folder, criu_version;
    std::uint64_t bytes = 0;  // of the images
    bool left_running = false;
    bool let_go_before = false;  // somebody had let it go before: what was left running is as it was
    Record record;               // as it was written
};

// On error the tree runs, and is levelled, as before; or the error says what is where.
[[nodiscard]] Result<DumpReport> dump(const DumpSetup& setup);

struct RestoreSetup {
    std::string folder;
    CriuSetup criu;
    bool leave_stopped = false;
    bool force = false;
    std::chrono::seconds patience{30};
    Progress progress;
};

struct RestoreReport {
    pid_t root = 0;
    std::string criu_version;
    Record record;
    std::vector<std::string> cautions;
    std::vector<engine::ptrace::AdoptReport> trees;  // in the record's order
    bool at_terminal = false;                        // it uses our terminal
    std::unique_ptr<Uninterrupted> uninterrupted;    // as long as `job` lives, which is in it
    std::unique_ptr<TerminalJob> job;                // this process has to stay and mirror it (terminal_job.h)
};

// On error nothing was restored, or the error says what is there, and that it is stopped.
[[nodiscard]] Result<RestoreReport> restore(const RestoreSetup& setup);

}  // namespace cpulevel::checkpoint
