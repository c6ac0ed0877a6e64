// An audit's report for people, and what `--to` takes.
#pragma once

#include <string>

#include "audit/audit.h"
#include "cli/view.h"
#include "util/error.h"

namespace cpulevel::cli {

[[nodiscard]] std::string audit_text(const audit::Report& report, const View& view);

// A profile is that one machine; anything else that level_argument() takes is any machine of the level.
[[nodiscard]] Result<audit::Target> audit_target(const std::string& word);

}  // namespace cpulevel::cli
