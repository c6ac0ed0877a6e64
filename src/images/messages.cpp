#include "images/messages.h"

#include <fmt/format.h>

#include <limits>

#include "images/fields.h"

namespace cpulevel::images {
namespace {

std::unexpected<Error> missing(std::string_view what) {
    return usage_error("the image is damaged", {}, fmt::format("it has no {}", what));
}

Result<void> store_pid(const WireField& field, pid_t& into) {
    const auto value = number_of(field);
    if (!value) return std::unexpected(value.error());
    const auto pid = process_number(*value);
    if (!pid) return std::unexpected(pid.error());
    into = *pid;
    return {};
}

Result<Area> parse_area(std::string_view message) {
    Area area;
    std::uint32_t protection = 0, status = 0;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        switch (field.number) {
            case 1: return store(field, area.start);
            case 2: return store(field, area.end);
            case 4: return store(field, area.file);  // shmid: the file's id for mapped files
            case 5: return store(field, protection);
            case 7: return store(field, status);
            default: return {};
        }
    });
    if (!done) return std::unexpected(done.error());
    constexpr std::uint32_t kFilePrivate = 1U << 6U, kFileShared = 1U << 7U;  // VMA_FILE_*, criu/include/image.h
    area.is_file = (status & (kFilePrivate | kFileShared)) != 0;
    area.readable = (protection & 1U) != 0;
    area.writable = (protection & 2U) != 0;
    area.executable = (protection & 4U) != 0;
    if (area.start >= area.end) return usage_error("the image is damaged", {}, fmt::format("an area ends at {:#x}, before it begins", area.end));
    return area;
}

}  // namespace

Result<Inventory> parse_inventory(std::string_view message) {
    Inventory inventory;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        return field.number == 1 ? store(field, inventory.version) : Result<void>{};
    });
    if (!done) return std::unexpected(done.error());
    if (inventory.version < 1 || inventory.version > 2) {
        return usage_error("images of a version that this program does not know", {}, fmt::format("img_version is {}", inventory.version),
                           "a newer cpulevel may; or dump without compression of pages");
    }
    return inventory;
}

Result<TreeEntry> parse_tree_entry(std::string_view message) {
    TreeEntry entry;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number == 1) return store_pid(field, entry.pid);
        if (field.number == 2) return store_pid(field, entry.parent);
        if (field.number != 5) return {};
        const auto numbers = repeated_numbers(field);
        if (!numbers) return std::unexpected(numbers.error());
        entry.threads.insert(entry.threads.end(), numbers->begin(), numbers->end());
        return {};
    });
    if (!done) return std::unexpected(done.error());
    if (entry.pid == 0) return missing("process number");
    return entry;
}

Result<pid_t> process_number(std::uint64_t value) {
    constexpr std::uint64_t kMost = 4U << 20U;  // PID_MAX_LIMIT
    if (value > kMost) return usage_error("the image is damaged", {}, fmt::format("{} is no process number", value));
    return static_cast<pid_t>(value);
}

Result<MemoryImage> parse_memory(std::string_view message) {
    MemoryImage memory;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number == 13) {
            const auto numbers = repeated_numbers(field);
            if (!numbers) return std::unexpected(numbers.error());
            memory.aux_vector.insert(memory.aux_vector.end(), numbers->begin(), numbers->end());
            return {};
        }
        if (field.number != 14) return {};
        const auto inner = bytes_of(field);
        if (!inner) return std::unexpected(inner.error());
        const auto area = parse_area(*inner);
        if (!area) return std::unexpected(area.error());
        if (!memory.areas.empty() && area->start < memory.areas.back().end) {
            return usage_error("the image is damaged", {}, fmt::format("the area at {:#x} overlaps the one before", area->start));
        }
        memory.areas.push_back(*area);
        return {};
    });
    if (!done) return std::unexpected(done.error());
    return memory;
}

Result<std::optional<FileName>> parse_file(std::string_view message, bool plain) {
    if (!plain) {  // file_entry: the regular file is a message in it
        std::string_view regular;
        auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
            if (field.number != 3) return {};
            const auto inner = bytes_of(field);
            if (!inner) return std::unexpected(inner.error());
            regular = *inner;
            return {};
        });
        if (!done) return std::unexpected(done.error());
        if (regular.empty()) return std::nullopt;
        message = regular;
    }
    FileName file;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        if (field.number == 1) return store(field, file.id);
        if (field.number != 6) return {};
        const auto name = bytes_of(field);
        if (!name) return std::unexpected(name.error());
        file.name = *name;
        return {};
    });
    if (!done) return std::unexpected(done.error());
    return file;
}

Result<std::uint64_t> parse_page_map_head(std::string_view message) {
    std::uint64_t id = 0;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        return field.number == 1 ? store(field, id) : Result<void>{};
    });
    if (!done) return std::unexpected(done.error());
    if (id == 0) return missing("number of a file of pages");
    return id;
}

Result<PageRun> parse_page_run(std::string_view message) {
    PageRun run;
    std::uint64_t in_parent = 0, flags = 0;
    bool has_flags = false;
    std::optional<std::uint64_t> wide_count;
    auto done = for_each_field(message, [&](const WireField& field) -> Result<void> {
        switch (field.number) {
            case 1: return store(field, run.address);
            case 2: return store(field, run.pages);
            case 3: return store(field, in_parent);
            case 4: has_flags = true; return store(field, flags);
            case 5: wide_count = 0; return store(field, *wide_count);  // since CRIU 4.2
            default: return {};
        }
    });
    if (!done) return std::unexpected(done.error());
    if (wide_count) run.pages = *wide_count;
    constexpr std::uint64_t kParent = 1, kLazy = 2, kPresent = 4;  // PE_*, criu/include/pagemap.h
    if ((flags & ~(kParent | kLazy | kPresent)) != 0) {
        return usage_error("a page map of a kind that this program does not know", {}, fmt::format("flags are {:#x}", flags));
    }
    run.in_parent = in_parent != 0 || (flags & kParent) != 0;
    run.present = !run.in_parent && (!has_flags || (flags & kPresent) != 0);
    constexpr std::uint64_t kMostPages = std::uint64_t{1} << 45U;
    if (run.pages > kMostPages || run.address > std::numeric_limits<std::uint64_t>::max() - run.pages * 65536) {
        return usage_error("the image is damaged", {}, fmt::format("{} pages at {:#x}", run.pages, run.address));
    }
    return run;
}

}  // namespace cpulevel::images
