// The report of `baseline --html`: what the page is made of, the day, and the file.
#pragma once

#include <string>

#include "fleet/types.h"
#include "level/meet.h"
#include "util/error.h"

namespace cpulevel::cli {

// `meet` is the meet of the fleet by `how`. "-" is standard output.
[[nodiscard]] Result<void> write_html_report(const std::string& path, const level::Meet& meet, const fleet::Fleet& nodes,
                                             const level::MeetOptions& how);

}  // namespace cpulevel::cli
