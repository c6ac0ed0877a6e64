#include "engine/ptrace/site_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace cpulevel::engine::ptrace {

namespace {

constexpr mode_t kOthers = 077;
constexpr off_t kLargestRecord = 16 << 20;  // bytes; node's has 20 KB

bool is_private(const struct stat& status) { return status.st_uid == ::geteuid() && (status.st_mode & kOthers) == 0; }

std::string record_name(const cpuid::FileIdentity& file) { return fmt::format("{:x}-{:x}", file.device, file.inode); }

Result<void> make_folders(const std::string& folder) {
    for (std::size_t end = folder.find('/', 1);; end = folder.find('/', end + 1)) {
        const std::string part = folder.substr(0, end);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return system_error(ErrorKind::usage, "cannot make the folder", part);
        if (end == std::string::npos) return {};
    }
}

}  // namespace

Result<std::string> SiteStore::default_folder() {
    const char* const cache = std::getenv("XDG_CACHE_HOME");
    if (cache != nullptr && *cache == '/') return std::string(cache) + "/cpulevel/sites";
    const char* const home = std::getenv("HOME");
    if (home != nullptr && *home == '/') return std::string(home) + "/.cache/cpulevel/sites";
    return usage_error("where to keep site records is not known", "--site-cache", "neither XDG_CACHE_HOME nor HOME is set",
                       "name a folder: --site-cache=DIR");
}

Result<SiteStore> SiteStore::open(const std::string& folder) {
    if (auto made = make_folders(folder); !made) return std::unexpected(made.error());
    Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return system_error(ErrorKind::usage, "cannot open the folder of site records", folder);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return system_error(ErrorKind::usage, "cannot examine", folder);
    if (!is_private(status)) {
        return usage_error("the folder of site records is not yours alone", folder,
                           fmt::format("owner {}, mode {:04o}", status.st_uid, status.st_mode & 07777),
                           "it decides what is changed in programs: it must belong to you, with mode 0700");
    }
    return SiteStore(std::move(fd));
}

std::optional<std::vector<std::byte>> SiteStore::load(const cpuid::FileIdentity& file) const {
    const Fd fd(::openat(folder_.get(), record_name(file).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status {};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return std::nullopt;
    if (!S_ISREG(status.st_mode) || !is_private(status) || status.st_nlink != 1 || status.st_size > kLargestRecord) {
        return std::nullopt;
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
    if (::read(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return std::nullopt;
    return bytes;
}

void SiteStore::save(const cpuid::FileIdentity& file, std::span<const std::byte> record) const {
    const std::string name = record_name(file);
    const std::string temporary = fmt::format("{}.{}", name, ::getpid());
    {
        const Fd fd(::openat(folder_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd.valid()) return;
        if (::write(fd.get(), record.data(), record.size()) == static_cast<ssize_t>(record.size()) &&
            ::renameat(folder_.get(), temporary.c_str(), folder_.get(), name.c_str()) == 0) {
            return;
        }
    }
    ::unlinkat(folder_.get(), temporary.c_str(), 0);
}

}  // namespace cpulevel::engine::ptrace
