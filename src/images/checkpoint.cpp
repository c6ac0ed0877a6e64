#include "images/checkpoint.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "images/image_file.h"
#include "util/file.h"

namespace cpulevel::images {
namespace {

using FileNames = std::map<std::uint64_t, std::string>;

constexpr std::size_t kMostProcesses = 1U << 16U;
constexpr std::size_t kMostThreads = 1U << 18U;  // of all processes together

std::unexpected<Error> in_file(Error error, const std::string& path) {
    error.on = error.on.empty() ? path : fmt::format("{}: {}", path, error.on);
    return std::unexpected(std::move(error));
}

// A file with a single message.
template <class T>
Result<T> read_single(const std::string& path, std::uint32_t magic, Result<T> (*parse)(std::string_view)) {
    const auto text = read_regular_file(path);
    if (!text) return std::unexpected(text.error());
    const auto messages = messages_of(*text, magic, path);
    if (!messages) return std::unexpected(messages.error());
    if (messages->size() != 1) return usage_error("the image is damaged", path, fmt::format("{} messages, 1 was expected", messages->size()));
    auto parsed = parse(messages->front());
    if (!parsed) return in_file(parsed.error(), path);
    return parsed;
}

Result<FileNames> read_file_names(const std::string& folder) {
    bool plain = false;
    std::string path = folder + "/files.img";
    auto text = read_regular_file(path);
    if (!text && text.error().errno_value == ENOENT) {
        const std::string earlier = folder + "/reg-files.img";  // of CRIU before 3.2
        auto other = read_regular_file(earlier);
        if (other || other.error().errno_value != ENOENT) {
            plain = true;
            path = earlier;
            text = std::move(other);
        }
    }
    if (!text) return std::unexpected(text.error());
    const auto messages = messages_of(*text, plain ? kRegularFilesMagic : kFilesMagic, path);
    if (!messages) return std::unexpected(messages.error());
    FileNames names;
    for (const std::string_view message : *messages) {
        const auto file = parse_file(message, plain);
        if (!file) return in_file(file.error(), path);
        if (*file) names[(*file)->id] = (*file)->name;
    }
    return names;
}

// The words of mm_saved_auxv are 64 bits wide, whatever the program's are.
inherit::AuxVector aux_vector_of(const std::vector<std::uint64_t>& words, bool is_32bit) {
    std::vector<inherit::AuxEntry> entries;
    for (std::size_t index = 0; index + 1 < words.size() && words[index] != inherit::kAtNull; index += 2) {
        entries.push_back({words[index], words[index + 1]});
    }
    return {is_32bit ? inherit::WordSize::bits32 : inherit::WordSize::bits64, std::move(entries)};
}

Result<void> read_memory(const std::string& folder, const FileNames& names, DumpedProcess& process) {
    const auto memory = read_single<MemoryImage>(fmt::format("{}/mm-{}.img", folder, process.pid), kMemoryMagic, parse_memory);
    if (!memory) return std::unexpected(memory.error());
    process.aux_vector = aux_vector_of(memory->aux_vector, process.is_32bit);
    for (const Area& area : memory->areas) {
        MappedArea mapped{area, {}};
        if (const auto name = names.find(area.file); area.is_file && name != names.end()) mapped.path = name->second;
        process.areas.push_back(std::move(mapped));
    }
    const std::uint64_t page_size = process.aux_vector->find(inherit::kAtPageSize).value_or(4096);
    if (page_size < 4096 || page_size > 65536 || (page_size & (page_size - 1)) != 0) {
        return usage_error("the image is damaged", fmt::format("{}/mm-{}.img", folder, process.pid), fmt::format("a page size of {} bytes", page_size));
    }
    auto pages = Pages::open(folder, process.pid, page_size);
    if (pages) {
        process.pages.emplace(std::move(*pages));
    } else if (pages.error().errno_value == ENOENT) {
        process.no_pages_because = pages.error().message();
    } else {
        return std::unexpected(pages.error());
    }
    return {};
}

Result<Core> read_core(const std::string& folder, pid_t thread) {
    return read_single<Core>(fmt::format("{}/core-{}.img", folder, thread), kCoreMagic, parse_core);
}

// The threads that an entry names, its process's own number first. A process that was dead has none, whatever the entry says.
Result<std::vector<pid_t>> threads_of(const TreeEntry& entry, const std::string& tree_path) {
    std::vector<pid_t> threads{entry.pid};
    for (const std::uint64_t value : entry.threads) {
        const auto thread = process_number(value);
        if (!thread) return in_file(thread.error(), tree_path);
        if (*thread != entry.pid) threads.push_back(*thread);
    }
    return threads;
}

Result<std::optional<DumpedProcess>> read_process(const std::string& folder, const TreeEntry& entry, const std::string& tree_path,
                                                  const FileNames& names, std::size_t& threads_left) {
    const auto leader = read_core(folder, entry.pid);
    if (!leader) return std::unexpected(leader.error());
    if (!leader->alive) return std::nullopt;
    const auto threads = threads_of(entry, tree_path);
    if (!threads) return std::unexpected(threads.error());
    if (threads->size() > threads_left) return usage_error("the image is damaged", tree_path, "more threads than a machine can have");
    threads_left -= threads->size();
    DumpedProcess process;
    process.pid = entry.pid;
    process.name = leader->name;
    for (const pid_t tid : *threads) {
        auto core = tid == entry.pid ? leader : read_core(folder, tid);
        if (!core) return std::unexpected(core.error());
        process.architecture = core->architecture;
        process.is_32bit = process.is_32bit || core->is_32bit;
        process.threads.emplace_back(tid, std::move(*core));
    }
    if (auto done = read_memory(folder, names, process); !done) return std::unexpected(done.error());
    return process;
}

}  // namespace

Result<Checkpoint> read_checkpoint(const std::string& folder) {
    const std::string inventory_path = folder + "/inventory.img";
    const auto inventory = read_single<Inventory>(inventory_path, kInventoryMagic, parse_inventory);
    if (!inventory) {
        if (inventory.error().errno_value != ENOENT) return std::unexpected(inventory.error());
        return usage_error("not a checkpoint", folder, "there is no inventory.img in it",
                           "give the folder that `criu dump --images-dir` wrote; an engine's archive is to be unpacked first, its images are in "
                           "\"checkpoint\"");
    }
    const std::string tree_path = folder + "/pstree.img";
    const auto tree = read_regular_file(tree_path);
    if (!tree) return std::unexpected(tree.error());
    const auto entries = messages_of(*tree, kTreeMagic, tree_path);
    if (!entries) return std::unexpected(entries.error());
    if (entries->size() > kMostProcesses) return usage_error("the image is damaged", tree_path, fmt::format("{} processes", entries->size()));
    const auto names = read_file_names(folder);
    if (!names) return std::unexpected(names.error());
    Checkpoint checkpoint;
    std::size_t threads_left = kMostThreads;
    for (const std::string_view message : *entries) {
        const auto entry = parse_tree_entry(message);
        if (!entry) return in_file(entry.error(), tree_path);
        auto process = read_process(folder, *entry, tree_path, *names, threads_left);
        if (!process) return std::unexpected(process.error());
        if (*process) checkpoint.processes.push_back(std::move(**process));
    }
    return checkpoint;
}

}  // namespace cpulevel::images
