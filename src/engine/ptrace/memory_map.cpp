#include "engine/ptrace/memory_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "util/file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

// The next word of `line`, which loses it and the blanks behind it.
std::string_view next_word(std::string_view& line) {
    const auto end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(line.find_first_not_of(' ', end), line.size()));
    return word;
}

}  // namespace

std::vector<MemoryMapping> parse_memory_map(std::string_view text) {
    std::vector<MemoryMapping> mappings;
    while (!text.empty()) {
        const auto line_end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, line_end);
        text.remove_prefix(std::min(line_end + 1, text.size()));

        const auto range = split(next_word(line), '-');
        const std::string_view permissions = next_word(line);
        const auto offset = parse_hex(next_word(line));
        next_word(line);  // the device, which overlay file systems give differently than stat(2) does
        const auto inode = parse_decimal(next_word(line));
        if (range.size() != 2 || permissions.size() != 4 || !offset || !inode) continue;
        const auto start = parse_hex(range[0]);
        const auto end = parse_hex(range[1]);
        if (!start || !end) continue;
        mappings.push_back({*start, *end, *offset, *inode, permissions[2] == 'x', std::string(line)});
    }
    return mappings;
}

std::vector<MemoryMapping> read_memory_map(pid_t pid) {
    const auto text = read_file(fmt::format("/proc/{}/maps", pid));
    return text ? parse_memory_map(*text) : std::vector<MemoryMapping>{};
}

Fd open_mapped_file(pid_t pid, const MemoryMapping& mapping, bool is_program) {
    constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const std::string path =
        is_program ? fmt::format("/proc/{}/exe", pid) : fmt::format("/proc/{}/root{}", pid, mapping.path);
    Fd file(::open(path.c_str(), kFlags));
    struct stat status {};
    if (!file.valid() || ::fstat(file.get(), &status) != 0 || status.st_ino != mapping.inode) return {};
    return file;
}

}  // namespace cpulevel::engine::ptrace
