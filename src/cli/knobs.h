// `run --knobs`: the environment variables by which programs can be told a level, for the program that is about to be
// started, on top of what the environment has.
#pragma once

#include "level/export/export.h"
#include "level/level.h"
#include "util/error.h"

namespace cpulevel::cli {

// The versions of tools that can be found out here (glibc's).
[[nodiscard]] level::ExportOptions export_options_here();

// Sets them in this process's environment; warns of what had to give way.
[[nodiscard]] Result<void> set_knobs(const level::Level& level);

}  // namespace cpulevel::cli
