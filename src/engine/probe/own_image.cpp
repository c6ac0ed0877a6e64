// PR_SET_MM_MAP replaces the kernel's whole record of a memory image at once: addresses of code, data, heap, stack, arguments and
// environment, and the auxiliary vector. A field cannot be left out, so the present values are taken from /proc/self/stat.
// The kernel checks them (inside the address space, start before end) and needs no capability for it, other than
// PR_SET_MM_AUXV. exe_fd = -1 leaves /proc/PID/exe as it is. The vector must be passed whole: a short one drops the rest.
#include "engine/probe/own_image.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>

namespace cpulevel::engine::probe {

namespace {

// As much of the file as fits; 0 on failure.
std::size_t read_file_into(const char* path, void* buffer, std::size_t size) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::read(fd, static_cast<char*>(buffer) + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        have += static_cast<std::size_t>(got);
    }
    ::close(fd);
    return have;
}

}  // namespace

NativeAuxEntry* NativeAuxVector::find(unsigned long type) {
    for (std::size_t i = 0; i < count; ++i) {
        if (entries[i].type == type) return &entries[i];
    }
    return nullptr;
}

bool read_own_auxv(NativeAuxVector& vector) {
    const std::size_t got = read_file_into("/proc/self/auxv", vector.entries.data(), sizeof vector.entries);
    vector.count = got / sizeof(NativeAuxEntry);
    for (std::size_t i = 0; i < vector.count; ++i) {
        if (vector.entries[i].type == 0) {
            vector.count = i + 1;
            return true;
        }
    }
    return false;
}

std::optional<StatAddresses> parse_stat_addresses(std::string_view stat) {
    const auto close = stat.rfind(')');
    if (close == std::string_view::npos) return std::nullopt;
    stat.remove_prefix(close + 1);
    std::array<unsigned long, 52> fields{};  // by proc(5)'s numbers
    std::size_t number = 3;
    for (; number < fields.size() && !stat.empty(); ++number) {
        if (stat.front() != ' ') return std::nullopt;
        stat.remove_prefix(1);
        const std::string_view field = stat.substr(0, stat.find_first_of(" \n"));
        stat.remove_prefix(field.size());
        // Some fields before 26 are a letter or negative; they are not looked at.
        const bool wanted = number >= 26;
        const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), fields[number]);
        if (wanted && (error != std::errc{} || end != field.data() + field.size())) return std::nullopt;
    }
    if (number != fields.size()) return std::nullopt;
    return StatAddresses{fields[26], fields[27], fields[28], fields[45], fields[46],
                         fields[47], fields[48], fields[49], fields[50], fields[51]};
}

int replace_saved_vector(NativeAuxVector& vector) {
    std::array<char, 4096> buffer;
    const std::size_t got = read_file_into("/proc/self/stat", buffer.data(), buffer.size());
    const auto addresses = parse_stat_addresses(std::string_view(buffer.data(), got));
    if (!addresses) return -1;
    prctl_mm_map map{};
    static_assert(sizeof map == 104 || sizeof(void*) != 8);
    map.start_code = addresses->start_code;
    map.end_code = addresses->end_code;
    map.start_data = addresses->start_data;
    map.end_data = addresses->end_data;
    map.start_brk = addresses->start_brk;
    map.brk = reinterpret_cast<std::uintptr_t>(::sbrk(0));
    map.start_stack = addresses->start_stack;
    map.arg_start = addresses->arg_start;
    map.arg_end = addresses->arg_end;
    map.env_start = addresses->env_start;
    map.env_end = addresses->env_end;
    map.auxv = reinterpret_cast<decltype(map.auxv)>(vector.entries.data());
    map.auxv_size = static_cast<std::uint32_t>(vector.bytes());
    map.exe_fd = static_cast<std::uint32_t>(-1);
    return ::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0 ? 0 : errno;
}

}  // namespace cpulevel::engine::probe
