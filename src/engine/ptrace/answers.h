// What a supervisor answers to a request (control.h), as text for its record: JSON. The text comes from another process, so
// that reading it checks everything; writing cuts long lists so that it fits.
#pragma once

#include <string>
#include <string_view>

#include "engine/ptrace/adopt.h"
#include "engine/ptrace/release.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

[[nodiscard]] std::string answer_text(const Error& error);
[[nodiscard]] std::string answer_text(const ReleaseReport& report);
[[nodiscard]] std::string answer_text(const AdoptReport& report);

// An answer that is an error is that error; one that is none of these is an error too.
[[nodiscard]] Result<ReleaseReport> parse_release_answer(std::string_view text);
[[nodiscard]] Result<AdoptReport> parse_adopt_answer(std::string_view text);

}  // namespace cpulevel::engine::ptrace
