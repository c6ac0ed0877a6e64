#include "util/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>

#include "util/fd.h"
#include "util/file.h"

namespace cpulevel {

namespace {

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// The rule of the kernel for links in sticky folders, for all folders that everybody may write to.
Result<void> check_link(const std::string& path, const struct stat& link) {
    struct stat folder{};
    if (::stat(folder_of(path).c_str(), &folder) != 0) return system_error(ErrorKind::usage, "cannot examine the folder of", path);
    if ((folder.st_mode & S_IWOTH) == 0 || link.st_uid == ::geteuid() || link.st_uid == folder.st_uid) return {};
    return usage_error("will not follow a symbolic link that another user has made in a shared folder", path,
                       "it belongs to user " + std::to_string(link.st_uid), "name the file itself");
}

// Where a result goes that the user wants at `path`.
struct Place {
    std::string file;           // to be replaced whole; empty: what is at the path is written to
    std::optional<mode_t> mode;  // that it has
};

Result<Place> place_of(const std::string& path) {
    struct stat found{};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return Place{path, {}};
        return system_error(ErrorKind::usage, "cannot write", path);
    }
    std::string real = path;
    if (S_ISLNK(found.st_mode)) {
        if (auto checked = check_link(path, found); !checked) return std::unexpected(checked.error());
        if (::stat(path.c_str(), &found) != 0) return system_error(ErrorKind::usage, "cannot follow the symbolic link", path);
        // The kernel follows links of /proc/self/fd, /dev/stdout's among them, to what has no path.
        if (!S_ISREG(found.st_mode)) return Place{};
        const std::unique_ptr<char, decltype(&::free)> target(::realpath(path.c_str(), nullptr), ::free);
        if (!target) return system_error(ErrorKind::usage, "cannot follow the symbolic link", path);
        real = target.get();
    }
    if (S_ISREG(found.st_mode)) return Place{real, found.st_mode & 0777};
    return Place{};
}

}  // namespace

Result<void> write_output_file(const std::string& path, std::string_view content) {
    const auto place = place_of(path);
    if (!place) return std::unexpected(place.error());
    if (!place->file.empty()) return write_file_atomically(place->file, content, place->mode);
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd.valid()) return system_error(ErrorKind::usage, "cannot open for writing", path);
    if (!write_all(fd.get(), content)) return system_error(ErrorKind::usage, "cannot write", path);
    return {};
}

Result<void> check_output_file(const std::string& path) {
    const auto place = place_of(path);
    if (!place) return std::unexpected(place.error());
    struct stat found{};
    if (::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) {
        errno = EISDIR;
        return system_error(ErrorKind::usage, "cannot write", path);
    }
    const std::string asked = place->file.empty() ? path : folder_of(place->file);
    const int rights = place->file.empty() ? W_OK : W_OK | X_OK;
    if (::faccessat(AT_FDCWD, asked.c_str(), rights, AT_EACCESS) != 0) return system_error(ErrorKind::usage, "cannot write", path);
    return {};
}

}  // namespace cpulevel
