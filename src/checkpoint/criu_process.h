// CRIU as a child process: found, asked for its version, run to its end.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "checkpoint/criu_log.h"
#include "checkpoint/record.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

struct Criu {
    std::string path;
    std::string version;  // "4.1.1"
};

// `named`: a path, or empty: by $PATH and /usr/sbin. Errors (machine): not there, does not run.
[[nodiscard]] Result<Criu> find_criu(const std::string& named);

struct CriuEnd {
    int status = 0;      // exit status; 128 + N for a signal
    std::string output;  // what it wrote to its standard output and error; messages are in its log
};

// `before` is called with the process's number before CRIU begins; an error of it ends the process.
using BeforeCriu = std::function<Result<void>(pid_t criu)>;
[[nodiscard]] Result<CriuEnd> run_criu(const Criu& criu, const std::vector<std::string>& arguments,
                                       const BeforeCriu& before = {});

// The words of these options, and `more` as it is.
void add_options(std::vector<std::string>& words, const CriuOptions& options, const std::vector<std::string>& more);

// The error of a CRIU that failed, from its log and from what it wrote outside of it; `what` opens it.
[[nodiscard]] Error criu_error(std::string what, const CriuLog& log, const CriuEnd& end);

}  // namespace cpulevel::checkpoint
