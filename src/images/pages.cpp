#include "images/pages.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "images/image_file.h"
#include "util/file.h"

namespace cpulevel::images {
namespace {

constexpr unsigned kMostParents = 64;  // dumps on top of each other

}  // namespace

Result<PageMap> PageMap::parse(std::string_view file, const std::string& path, std::uint64_t page_size) {
    const auto messages = messages_of(file, kPageMapMagic, path);
    if (!messages) return std::unexpected(messages.error());
    if (messages->empty()) return usage_error("the image is damaged", path, "it has no head");
    PageMap map;
    const auto in_file = [&](Error error) {
        error.on = path;
        return std::unexpected(std::move(error));
    };
    const auto head = parse_page_map_head(messages->front());
    if (!head) return in_file(head.error());
    map.pages_id_ = *head;
    std::uint64_t offset = 0;
    for (std::size_t index = 1; index < messages->size(); ++index) {
        const auto run = parse_page_run((*messages)[index]);
        if (!run) return in_file(run.error());
        const std::uint64_t size = run->pages * page_size;
        if (size == 0) continue;
        if (!map.runs_.empty() && run->address < map.runs_.back().end) {
            return usage_error("the image is damaged", path, fmt::format("the pages at {:#x} are out of order", run->address));
        }
        map.runs_.push_back({run->address, run->address + size, offset, run->present, run->in_parent});
        if (run->present) offset += size;
    }
    map.stored_bytes_ = offset;
    return map;
}

const PageMap::Run* PageMap::find(std::uint64_t address) const {
    const auto above = std::ranges::upper_bound(runs_, address, {}, &Run::start);
    if (above == runs_.begin()) return nullptr;
    const Run& candidate = *std::prev(above);
    return address < candidate.end ? &candidate : nullptr;
}

Result<Pages> Pages::open(const std::string& folder, pid_t pid, std::uint64_t page_size) {
    return open_below(folder, pid, page_size, 0);
}

Result<Pages> Pages::open_below(const std::string& folder, pid_t pid, std::uint64_t page_size, unsigned depth) {
    const std::string path = fmt::format("{}/pagemap-{}.img", folder, pid);
    const auto text = read_regular_file(path);
    if (!text) return std::unexpected(text.error());
    auto map = PageMap::parse(*text, path, page_size);
    if (!map) return std::unexpected(map.error());
    const std::string pages_path = fmt::format("{}/pages-{}.img", folder, map->pages_id());
    Fd file(::open(pages_path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status{};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) return system_error(ErrorKind::usage, "cannot open", pages_path);
    if (!S_ISREG(status.st_mode)) return usage_error("not a file of pages", pages_path);
    if (const auto size = static_cast<std::uint64_t>(status.st_size); size < map->stored_bytes()) {
        return usage_error("the image is cut", pages_path,
                           fmt::format("it has {} bytes, and {} tells of {}", size, path.substr(folder.size() + 1), map->stored_bytes()));
    }
    Pages pages(std::move(*map), std::move(file));
    const std::string parent = folder + "/parent";
    if (::stat(parent.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
        struct stat own{};
        const bool is_itself = ::stat(folder.c_str(), &own) == 0 && own.st_dev == status.st_dev && own.st_ino == status.st_ino;
        if (is_itself) return usage_error("the images are damaged", parent, "it is the folder itself");
        if (depth == kMostParents) return usage_error("too many dumps on top of each other", parent);
        // A process that started after the earlier dump has no images there.
        auto below = open_below(parent, pid, page_size, depth + 1);
        if (below) pages.parent_ = std::make_unique<Pages>(std::move(*below));
        if (!below && below.error().errno_value != ENOENT) return std::unexpected(below.error());
    }
    return pages;
}

std::size_t Pages::read(std::uint64_t address, std::span<std::byte> into) const {
    std::size_t done = 0;
    while (done < into.size()) {
        const PageMap::Run* run = map_.find(address + done);
        if (run == nullptr) break;
        auto part = into.subspan(done);
        part = part.first(static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), run->end - (address + done))));
        std::size_t got = 0;
        if (run->present) {
            const std::uint64_t offset = run->offset + (address + done - run->start);
            const ssize_t read = ::pread(file_.get(), part.data(), part.size(), static_cast<off_t>(offset));
            if (read < 0 && errno == EINTR) continue;
            got = read > 0 ? static_cast<std::size_t>(read) : 0;
        } else if (run->in_parent && parent_) {
            got = parent_->read(address + done, part);
        }
        done += got;
        if (got < part.size()) break;  // a file that is cut, or pages that are nowhere
    }
    return done;
}

}  // namespace cpulevel::images
