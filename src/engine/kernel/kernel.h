// The kernel engine: on a kernel that hands a changed auxiliary vector on through execve ("exec: inherit HWCAPs from the
// parent process", docs/inheritance.md), a level needs no supervisor. This process replaces its own saved vector by the
// level's and becomes the program; the kernel does the rest at this exec and at every one after it.
//
// What it cannot do. The kernel inherits the four HWCAP words and nothing else: AT_MINSIGSTKSZ and AT_PLATFORM stay the
// machine's own. CPUID is not touched by it at all, so on x86 somebody must have accepted that.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "inherit/aux_vector.h"
#include "level/level.h"
#include "util/error.h"

namespace cpulevel::engine::kernel {

struct Preparation {
    inherit::AuxVector vector;  // what this process's saved vector is to be: its own, with the level's HWCAP words
    Coverage coverage;
};

// The vector and what it covers: values in, values out. `own` is this process's vector.
[[nodiscard]] Preparation level_vector(const level::Level& level, inherit::AuxVector own);

// Whether this kernel inherits is found out by doing; an error says what it lacks.
[[nodiscard]] Result<Preparation> prepare(const level::Level& level);

// Replaces this process's saved vector and then the process by the program. Returns only on failure: an error when the
// vector could not be replaced (nothing was started), otherwise errno of the exec.
[[nodiscard]] Result<int> become(const Preparation& preparation, const std::vector<std::string>& command);

}  // namespace cpulevel::engine::kernel
