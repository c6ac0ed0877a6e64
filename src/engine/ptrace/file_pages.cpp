#include "engine/ptrace/file_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cpulevel::engine::ptrace {

std::optional<FilePages> FilePages::read(int fd, std::uint64_t size) {
    void* const start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return std::nullopt;
    FilePages pages(static_cast<std::byte*>(start), size);
    ::madvise(start, size, MADV_HUGEPAGE);  // a wish
    std::size_t done = 0;
    while (done < size) {
        const ssize_t got = ::pread(fd, pages.start_ + done, size - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return std::nullopt;
        done += static_cast<std::size_t>(got);
    }
    return pages;
}

FilePages::FilePages(FilePages&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}

FilePages::~FilePages() {
    if (start_ != nullptr) ::munmap(start_, size_);
}

}  // namespace cpulevel::engine::ptrace
