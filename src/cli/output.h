// Where a command's words go. A command makes its whole text and writes it once: to standard output, where a write
// that fails (disk full, closed descriptor, reader gone) is an error and not silence, or to a file, whole or not at
// all.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "util/error.h"

namespace cpulevel::cli {

// Descriptors 0 to 2 that are closed get /dev/null (close-on-exec), so that no file that we open becomes "standard
// output" by taking the free number. It is opened the wrong way round: a write to it fails, as one to a closed one
// would.
void reserve_standard_descriptors();

[[nodiscard]] Result<void> write_standard_output(std::string_view text);
// For what has been done with processes: where it cannot be told on standard output it is told on standard error, and the exit
// status stays that of what was done. A script that took it for an error would do it again.
void tell_what_was_done(std::string_view text);

// To `path` atomically, or to standard output where the path is empty or "-".
[[nodiscard]] Result<void> write_output(const std::string& path, std::string_view text);

// Indented JSON with a newline at its end. Bytes that are not UTF-8 are replaced, never a failure.
[[nodiscard]] std::string to_text(const nlohmann::json& json);

// "cpulevel: MESSAGE", and "hint: ..." where the error has one, to standard error.
void print_error(const Error& error);
void print_warning(std::string_view message);

}  // namespace cpulevel::cli
