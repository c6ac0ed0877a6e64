#include "util/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "util/fd.h"

namespace cpulevel {

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    Fd owned;
    int fd = STDIN_FILENO;
    if (path != "-") {
        owned = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (!owned.valid()) return system_error(ErrorKind::usage, "cannot open", path);
        fd = owned.get();
    }
    std::string content;
    // Where the size is known, memory is taken once.
    struct stat status{};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        content.reserve(std::min(static_cast<std::size_t>(status.st_size), limit) + 1);
    }
    std::array<char, 65536> buffer;
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error(ErrorKind::usage, "cannot read", path);
        if (got == 0) return content;
        content.append(buffer.data(), static_cast<std::size_t>(got));
        if (content.size() > limit) {
            return usage_error("file too large", path, "more than " + std::to_string(limit) + " bytes");
        }
    }
}

namespace {

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t put = ::write(fd, content.data(), content.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return system_error(ErrorKind::usage, "cannot write", path);
        content.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

}  // namespace

Result<void> write_file_atomically(const std::string& path, std::string_view content) {
    // /dev/null, a pipe: root's rename would put a file in the device's place, for the whole system.
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        const Fd special(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
        if (!special.valid()) return system_error(ErrorKind::usage, "cannot write", path);
        return write_all(special.get(), content, path);
    }
    // Hidden until it is whole: what reads a folder of files (Node Feature Discovery, shells' globs) skips it.
    const std::size_t name = path.rfind('/') + 1;  // npos + 1 is 0
    std::string temporary = path.substr(0, name) + "." + path.substr(name) + ".XXXXXX";
    const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd.valid()) return system_error(ErrorKind::usage, "cannot create a temporary file beside", path);
    auto fail = [&](std::unexpected<Error> error) -> Result<void> {
        ::unlink(temporary.c_str());
        return error;
    };
    if (auto written = write_all(fd.get(), content, temporary); !written) {
        return fail(std::unexpected(written.error()));
    }
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fchmod(fd.get(), 0666 & ~mask) != 0 || ::fsync(fd.get()) != 0 ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        return fail(system_error(ErrorKind::usage, "cannot write", path));
    }
    return {};
}

}  // namespace cpulevel
