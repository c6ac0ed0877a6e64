// The kernel side: its programs loaded, attached to their events and pinned; and what they cost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "util/error.h"

namespace cpulevel::engine::bpf {

// Loads, attaches and pins everything; the caller holds the lock and nothing is installed. Nothing stays behind on failure.
[[nodiscard]] Result<void> install();

struct ProgramCost {
    std::string name;          // of the program, "on_exec"
    std::uint64_t runs = 0;    // since it was loaded, while kernel.bpf_stats_enabled was 1
    std::uint64_t nanoseconds = 0;  // all runs together
};
// Of what is installed. Without statistics all are 0.
[[nodiscard]] std::vector<ProgramCost> costs();

// What programs are told by which channel; from which programs are attached.
[[nodiscard]] Coverage coverage();

}  // namespace cpulevel::engine::bpf
