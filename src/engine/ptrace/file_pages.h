// A file's bytes, read once to be examined. Not mapped: whoever may write the file could cut it short meanwhile, and
// the one who reads a mapping behind its end dies of SIGBUS.
//
// What costs is not the reading but the pages: a compiler has 30 megabytes, that is 8,000 page faults, and a vector
// would fill them with zeroes first. So they come from the kernel as they are, in large pages where it has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace cpulevel::engine::ptrace {

class FilePages {
   public:
    // The first `size` bytes (more than 0) of `fd`; nothing if there is no memory, or not as many bytes.
    [[nodiscard]] static std::optional<FilePages> read(int fd, std::uint64_t size);
    FilePages(FilePages&& other) noexcept;
    FilePages& operator=(FilePages&&) = delete;
    FilePages(const FilePages&) = delete;
    FilePages& operator=(const FilePages&) = delete;
    ~FilePages();
    [[nodiscard]] std::span<const std::byte> bytes() const { return {start_, size_}; }

   private:
    FilePages(std::byte* start, std::size_t size) : start_(start), size_(size) {}
    std::byte* start_;
    std::size_t size_;
};

}  // namespace cpulevel::engine::ptrace
