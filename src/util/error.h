// Errors are values. An Error names what failed, on what, why, and what the user can do about it.
// Exceptions are for bugs only (style: docs/decisions/001-foundations.md).
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace cpulevel {

// The kind decides the exit code (see exit_code); it says whose move is next.
enum class ErrorKind {
    usage,     // wrong usage, or input that cannot be read or is not valid: exit 2
    machine,   // this machine cannot do it (missing right, kernel or CPU feature): exit 3
    refused,   // the answer is no: incompatible, not safe: exit 1
};

struct Error {
    ErrorKind kind = ErrorKind::usage;
    std::string what;  // what failed: "cannot read the profile"
    std::string on;    // on what: a path, a pid, "line 12, column 3"; may be empty
    int errno_value = 0;
    std::string why;   // in words, when there is more to say than errno does
    std::string hint;  // what to do about it; may be empty

    // Without the hint: "cannot read the profile: a.json: No such file or directory". Names come from other people's files
    // and file systems: what would speak to a terminal stands there as \xNN.
    [[nodiscard]] std::string message() const;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] int exit_code(ErrorKind kind);

// From errno as it stands now; call it before anything else can change errno.
[[nodiscard]] std::unexpected<Error> system_error(ErrorKind kind, std::string what, std::string on,
                                                  std::string hint = {});
[[nodiscard]] std::unexpected<Error> usage_error(std::string what, std::string on = {}, std::string why = {},
                                                 std::string hint = {});
[[nodiscard]] std::unexpected<Error> machine_error(std::string what, std::string on = {}, std::string why = {},
                                                   std::string hint = {});

}  // namespace cpulevel
