// CRIU's log as a person wants it: the line that says why, without its ornaments, and what to do about it.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::checkpoint {

struct Explained {
    std::string line;    // what CRIU says, without time and place in its source; empty: its log says no error
    std::string advice;  // may be empty
};

// The first error of the log is the cause, those behind it its consequences; a line with an advice goes before one
// without.
[[nodiscard]] Explained explain(std::string_view log);

// What CRIU says before it has a log, of its command line or that it may not run, in one line; empty: nothing.
[[nodiscard]] std::string said_outside_of_log(std::string_view output);

// The log that a run of CRIU will write. One of an earlier run may lie there, and says nothing about this one; CRIU may end before it
// opens its log, or be told to write another one.
class CriuLog {
   public:
    // Before CRIU is started. An earlier log is removed, where we may.
    explicit CriuLog(std::string path);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::optional<std::string> of_this_run() const;  // nothing: CRIU has written none

   private:
    std::string path_;
    std::optional<struct stat> before_;
};

// What `cpulevel` itself said in the log, as an action script: its lines, "cpulevel: " taken off.
[[nodiscard]] std::vector<std::string> own_lines(std::string_view log);

}  // namespace cpulevel::checkpoint
