// Who holds a level down: what leaving out nodes of one type, or of several together, would bring back.
#pragma once

#include <string>

#include "cli/view.h"
#include "fleet/types.h"
#include "level/meet.h"

namespace cpulevel::cli {

// Empty where leaving out nodes brings nothing back. `meet` is the meet of the fleet by `how`.
[[nodiscard]] std::string holders_text(const level::Meet& meet, const fleet::Fleet& fleet,
                                       const level::MeetOptions& how, const View& view);

}  // namespace cpulevel::cli
