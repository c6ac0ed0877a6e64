#include "util/error.h"

#include <cerrno>
#include <system_error>

#include "util/text.h"

namespace cpulevel {

std::string Error::message() const {
    std::string text = without_controls(what, true);
    if (!on.empty()) text += ": " + without_controls(on);
    if (!why.empty()) text += ": " + without_controls(why, true);
    if (errno_value != 0) text += ": " + std::generic_category().message(errno_value);
    return text;
}

int exit_code(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::refused: return 1;
        case ErrorKind::usage: return 2;
        case ErrorKind::machine: return 3;
    }
    return 2;
}

std::unexpected<Error> system_error(ErrorKind kind, std::string what, std::string on, std::string hint) {
    const int saved = errno;
    return std::unexpected(
        Error{kind, std::move(what), std::move(on), saved, {}, std::move(hint)});
}

std::unexpected<Error> usage_error(std::string what, std::string on, std::string why, std::string hint) {
    return std::unexpected(
        Error{ErrorKind::usage, std::move(what), std::move(on), 0, std::move(why), std::move(hint)});
}

std::unexpected<Error> machine_error(std::string what, std::string on, std::string why, std::string hint) {
    return std::unexpected(
        Error{ErrorKind::machine, std::move(what), std::move(on), 0, std::move(why), std::move(hint)});
}

}  // namespace cpulevel
