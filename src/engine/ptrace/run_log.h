// What a run tells: counters for `status`, a line per exec with --verbose, and the report (JSON) of --report.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/ptrace/planting.h"
#include "engine/registry.h"
#include "inherit/marks.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

struct ExecRecord {
    pid_t pid = 0;
    std::string program;
    bool is_32bit = false;
    bool secure = false;
    std::vector<inherit::AuxEdit> edits;
    std::string problem;  // why a channel of this program is not covered; empty: all is well
    PlantingCounts planting;
};

class RunLog {
   public:
    struct Options {
        bool verbose = false;  // lines to `verbose_to`
        Fd verbose_to;
        std::string report_path;  // empty: no report
        int problems_to = -1;     // where the front hears of what is not covered: "w" and a line each
        std::string level_name, method;
        std::vector<std::string> command;
        Coverage coverage;
        std::string level_text;         // the level itself, for the record
    };
    explicit RunLog(Options options);

    [[nodiscard]] bool wants_details() const { return options_.verbose || !options_.report_path.empty(); }
    void exec(ExecRecord record);
    // A file that was mapped as code: descriptor `fd` of the process.
    void library(pid_t pid, int fd, const PlantingCounts& counts);
    void retract(const ExecRecord& record);  // it came otherwise, and is told again
    void cpuid_trap(pid_t pid, std::uint64_t address, std::uint32_t leaf);
    void problem(pid_t pid, const std::string& text);
    void gone(pid_t pid);
    [[nodiscard]] TreeCounters& counters();
    // The record that `status` reads; null where it could not be published.
    [[nodiscard]] const TreeRecord* record() const { return record_ ? &*record_ : nullptr; }

    // Writes the report whole; called when the first program ends and again when the last one does. A pipe or a device gets it
    // once: whoever reads there is not to get two.
    void write_report(std::optional<int> exit_status);

   private:
    struct Module {
        std::uint64_t start = 0, end = 0, offset = 0;
        std::string path;
    };
    void line(const std::string& text) const;
    void tell_front(const std::string& text) const;  // as a warning
    std::string site(pid_t pid, std::uint64_t address);

    Options options_;
    std::optional<TreeRecord> record_;
    TreeCounters unpublished_;
    std::vector<ExecRecord> execs_;                    // the first kMostExecs
    std::map<std::string, PlantingCounts> libraries_;  // by path: of the last time that each was mapped
    std::map<std::string, std::uint64_t> trap_sites_;  // "module+offset" -> count
    std::map<pid_t, std::vector<Module>> modules_;
    std::vector<std::string> problems_;
    bool report_is_read_ = false;  // it went into a pipe or a device
};

}  // namespace cpulevel::engine::ptrace
