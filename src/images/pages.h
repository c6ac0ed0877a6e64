// The memory of a dumped process: pagemap-PID.img says which pages are in pages-N.img, in their order, and which are in the
// images of an earlier dump (the folder "parent"). Pages that a process never changed are in no image.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "images/messages.h"
#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::images {

// Where each stored page is, from a pagemap file. Pure.
class PageMap {
   public:
    // Errors (usage): damaged, pages out of order.
    [[nodiscard]] static Result<PageMap> parse(std::string_view file, const std::string& path, std::uint64_t page_size);

    struct Run {
        std::uint64_t start = 0, end = 0;  // addresses, [start, end)
        std::uint64_t offset = 0;          // in the file of pages
        bool present = false, in_parent = false;
    };
    [[nodiscard]] const Run* find(std::uint64_t address) const;  // null: no page of it is stored
    [[nodiscard]] std::uint64_t pages_id() const { return pages_id_; }
    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }  // the file of pages has so many, or is cut

   private:
    std::uint64_t pages_id_ = 0, stored_bytes_ = 0;
    std::vector<Run> runs_;  // by address
};

class Pages {
   public:
    // The pages of one process. Errors (usage): no page map, or damaged; fewer pages than it tells of.
    [[nodiscard]] static Result<Pages> open(const std::string& folder, pid_t pid, std::uint64_t page_size);

    // How many bytes from `address` on could be read, up to the size of `into`; fewer at a page that is not stored.
    [[nodiscard]] std::size_t read(std::uint64_t address, std::span<std::byte> into) const;

   private:
    Pages(PageMap map, Fd file) : map_(std::move(map)), file_(std::move(file)) {}
    [[nodiscard]] static Result<Pages> open_below(const std::string& folder, pid_t pid, std::uint64_t page_size, unsigned depth);

    PageMap map_;
    Fd file_;
    std::unique_ptr<Pages> parent_;
};

}  // namespace cpulevel::images
