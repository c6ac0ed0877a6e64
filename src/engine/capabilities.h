// What works on this machine, found out by doing it: never from a version number or a flag in a file, which some
// hypervisors and sandboxes get wrong. Each probe does the thing in a child of its own and looks at the effect.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cpulevel::engine {

enum class Works : std::uint8_t { yes, partial, no };
[[nodiscard]] std::string_view name(Works works);

// What `run` loses without a capability.
enum class Need : std::uint8_t {
    nothing,   // information, or another command's need
    coverage,  // `run` starts, but a channel is not, or not fully, covered: `run --require-full` refuses
    start,     // `run` cannot start a program at all
};
[[nodiscard]] std::string_view name(Need need);

struct Capability {
    std::string id;     // stable name for programs: "cpuid-faulting"
    std::string title;  // for people
    Works works = Works::no;
    Need need = Need::nothing;
    std::string gives;    // what it is good for
    std::string missing;  // when not `yes`: what is missing and what to do about it
    std::string detail;   // what was seen
};

struct CheckOptions {
    std::string root;      // prefix of the files that are read (/proc/cpuinfo, /sys/...); empty is this machine
    bool run_criu = true;  // start `criu check` where a criu is installed: the one probe that takes noticeable time
};

struct CheckReport {
    std::string kernel;  // release, as `uname -r`
    std::string machine; // as `uname -m`
    std::vector<Capability> capabilities;

    [[nodiscard]] const Capability* find(std::string_view id) const;
    [[nodiscard]] bool run_starts() const;             // everything with Need::start works
    [[nodiscard]] bool run_covers_everything() const;  // and everything with Need::coverage
};

// Takes about 0.1 s (with CRIU up to some seconds). Never fails: what could not be tried says so in its result. Makes
// child processes, waits for each of them by its pid, and leaves the caller's signals, memory and descriptors alone.
[[nodiscard]] CheckReport check_machine(const CheckOptions& options = {});

}  // namespace cpulevel::engine
