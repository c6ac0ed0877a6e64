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

namespace {

Result<std::string> read_whole(int fd, const std::string& path, std::size_t limit) {
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

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    if (path == "-") return read_whole(STDIN_FILENO, path, limit);
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) return system_error(ErrorKind::usage, "cannot open", path);
    return read_whole(file.get(), path, limit);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t limit) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat status{};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) return system_error(ErrorKind::usage, "cannot open", path);
    if (!S_ISREG(status.st_mode)) return usage_error("not a regular file", path);
    return read_whole(file.get(), path, limit);
}

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t put = ::write(fd, content.data(), content.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        content.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
}

Result<void> write_file_atomically(const std::string& path, std::string_view content, std::optional<mode_t> mode) {
    // Hidden until it is whole: what reads a folder of files (Node Feature Discovery, shells' globs) skips it.
    const std::size_t name = path.rfind('/') + 1;  // npos + 1 is 0
    std::string temporary = path.substr(0, name) + "." + path.substr(name) + ".XXXXXX";
    const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd.valid()) return system_error(ErrorKind::usage, "cannot create a temporary file beside", path);
    if (!mode) {
        const mode_t mask = ::umask(0);
        ::umask(mask);
        mode = 0666 & ~mask;
    }
    if (!write_all(fd.get(), content) || ::fchmod(fd.get(), *mode) != 0 || ::fsync(fd.get()) != 0 ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        const auto error = system_error(ErrorKind::usage, "cannot write", path);
        ::unlink(temporary.c_str());
        return error;
    }
    return {};
}

}  // namespace cpulevel
