// Why the BPF engine cannot be used here, and what to do about it, in words. Pure.
#pragma once

#include <string>

#include "engine/capabilities.h"
#include "util/error.h"

namespace cpulevel::engine::bpf {

struct RefusalFacts {
    Capability bpf;         // as probed by doing (engine/probe)
    int errno_value = 0;    // of the step that failed
    std::string step;       // "load its programs into the kernel"
    std::string log;        // what libbpf and the verifier said
};

// What the probe found names the cause, where it found one; else errno and the end of the log are all there is.
[[nodiscard]] Error refusal(const RefusalFacts& facts);

// The last lines of a log that say something.
[[nodiscard]] std::string end_of_log(const std::string& log);

[[nodiscard]] Error built_without();

}  // namespace cpulevel::engine::bpf
