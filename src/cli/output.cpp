#include "cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <tuple>

#include "cli/style.h"
#include "util/file.h"
#include "util/output_file.h"
#include "util/text.h"

namespace cpulevel::cli {

void reserve_standard_descriptors() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        // The lowest free number is this one: those below it are open by now.
        const int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (::open("/dev/null", flags | O_CLOEXEC) != fd) return;
    }
}

Result<void> write_standard_output(std::string_view text) {
    if (!write_all(STDOUT_FILENO, text)) return system_error(ErrorKind::usage, "cannot write", "standard output");
    return {};
}

void tell_what_was_done(std::string_view text) {
    const auto written = write_standard_output(text);
    if (written) return;
    print_warning(written.error().message() + "; it has been done all the same:");
    std::ignore = write_all(STDERR_FILENO, text);
}

Result<void> write_output(const std::string& path, std::string_view text) {
    if (path.empty() || path == "-") return write_standard_output(text);
    return write_output_file(path, text);
}

std::string to_text(const nlohmann::json& json) {
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void print_error(const Error& error) {
    const Style style = Style::for_descriptor(STDERR_FILENO);
    std::string text = fmt::format("{} {}\n", style.bad("cpulevel:"), error.message());
    if (!error.hint.empty()) text += fmt::format("{} {}\n", style.strong("hint:"), without_controls(error.hint, true));
    std::ignore = write_all(STDERR_FILENO, text);  // when this fails there is nobody left to tell; the exit status remains
}

void print_warning(std::string_view message) {
    const Style style = Style::for_descriptor(STDERR_FILENO);
    std::ignore = write_all(STDERR_FILENO, fmt::format("{} {}\n", style.caution("cpulevel: warning:"), without_controls(message, true)));
}

}  // namespace cpulevel::cli
