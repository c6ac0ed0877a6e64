#include "intake/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "util/fd.h"

namespace cpulevel::intake {
namespace {

constexpr std::size_t kDeepest = 64;

struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
};

void walk_into(Fd fd, const std::string& path, std::size_t depth, Walked& walked) {
    const std::unique_ptr<DIR, CloseFolder> folder(::fdopendir(fd.get()));
    if (!folder) {
        walked.unreadable.push_back(system_error(ErrorKind::usage, "cannot read the folder", path).error());
        return;
    }
    (void)fd.release();  // the stream owns it now
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(folder.get());
        if (entry == nullptr) {
            if (errno != 0) walked.unreadable.push_back(system_error(ErrorKind::usage, "cannot read the folder", path).error());
            return;
        }
        const std::string name = entry->d_name;
        if (name.starts_with('.')) continue;
        const std::string inner = path + "/" + name;
        unsigned char type = entry->d_type;
        if (type == DT_UNKNOWN) {
            struct stat status{};
            if (::fstatat(::dirfd(folder.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
                type = static_cast<unsigned char>(IFTODT(status.st_mode));
            }
        }
        switch (type) {
            case DT_REG: walked.files.push_back(inner); break;
            case DT_LNK: ++walked.links; break;
            case DT_DIR: {
                if (depth >= kDeepest) {
                    walked.unreadable.push_back(
                        usage_error("folders nested too deeply", inner, "more than " + std::to_string(kDeepest)).error());
                    break;
                }
                Fd next(::openat(::dirfd(folder.get()), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
                if (!next.valid()) {
                    walked.unreadable.push_back(system_error(ErrorKind::usage, "cannot open the folder", inner).error());
                    break;
                }
                walk_into(std::move(next), inner, depth + 1, walked);
                break;
            }
            default: ++walked.others; break;
        }
    }
}

}  // namespace

Result<Walked> walk(const std::string& folder) {
    Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return system_error(ErrorKind::usage, "cannot open the folder", folder);
    Walked walked;
    std::string path = folder;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    walk_into(std::move(fd), path == "/" ? "" : path, 0, walked);
    std::ranges::sort(walked.files);
    return walked;
}

}  // namespace cpulevel::intake
