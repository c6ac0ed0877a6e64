#include "engine/ptrace/planting.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "engine/ptrace/memory_map.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::byte kFirstByte{0x0f};       // of CPUID (0F A2) and SYSCALL (0F 05)
constexpr std::byte kFirstByteInt80{0xcd};  // of INT 0x80 (CD 80)
constexpr std::byte kHalt{0xf4};
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMaximumFile = 1ULL << 30U;  // bytes; larger executables are left alone and counted
constexpr std::size_t kMaximumScans = 4096;          // files remembered

std::optional<std::vector<std::byte>> read_whole(int fd, std::uint64_t size) {
    std::vector<std::byte> bytes(size);
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (got <= 0) return std::nullopt;
        done += static_cast<std::size_t>(got);
    }
    return bytes;
}

// A dynamic loader that was started as a program ("/lib64/ld-linux-x86-64.so.2 PROGRAM"); musl's is its libc.
bool is_loader(std::string_view path) {
    const std::string_view file = path.substr(path.rfind('/') + 1);
    return file.starts_with("ld-") || file.starts_with("ld.so") || file.starts_with("libc.");
}

// The traps of one page, written in one go. Sites whose bytes are not what they should be are left out.
std::size_t plant_page(int memory, std::span<const PlantedTrap> traps, std::vector<PlantedTrap>& planted) {
    const std::uint64_t first = traps.front().address;
    const std::size_t size = traps.back().address - first + 1;
    std::array<std::byte, kPage> bytes;
    const std::span slice(bytes.data(), size);
    if (::pread(memory, slice.data(), size, static_cast<off_t>(first)) != static_cast<ssize_t>(size)) return 0;
    const std::size_t before = planted.size();
    for (const PlantedTrap& trap : traps) {
        std::byte& byte = slice[trap.address - first];
        if (byte != kFirstByte && !(trap.kind == PlantedTrap::Kind::map_call && byte == kFirstByteInt80)) continue;
        byte = kHalt;
        planted.push_back(trap);
    }
    if (planted.size() == before) return 0;
    if (::pwrite(memory, slice.data(), size, static_cast<off_t>(first)) != static_cast<ssize_t>(size)) {
        planted.resize(before);
        return 0;
    }
    return planted.size() - before;
}

}  // namespace

std::shared_ptr<const cpuid::SiteScan> Planter::scan(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) return nullptr;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const FileIdentity identity{status.st_dev, status.st_ino, size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    if (const auto known = scans_.find(identity); known != scans_.end()) return known->second;
    std::shared_ptr<const cpuid::SiteScan> result;
    if (size <= kMaximumFile) {
        if (const auto bytes = read_whole(fd, size)) {
            if (auto found = cpuid::find_sites(*bytes)) {
                result = std::make_shared<const cpuid::SiteScan>(std::move(*found));
            }
        }
    }
    if (scans_.size() >= kMaximumScans) scans_.clear();
    scans_.emplace(identity, result);
    return result;
}

PlantingCounts Planter::plant(pid_t pid, AddressSpace& space, const Mapping& mapping, const cpuid::SiteScan& scan) {
    std::vector<PlantedTrap> wanted;
    auto place = [&](const cpuid::Site& site) -> std::optional<std::uint64_t> {
        if (site.file_offset < mapping.offset) return std::nullopt;
        const std::uint64_t address = mapping.start + (site.file_offset - mapping.offset);
        if (address + 1 >= mapping.end) return std::nullopt;
        return address;
    };
    for (const cpuid::Site& site : scan.sites) {
        if (const auto address = place(site)) wanted.push_back({*address, PlantedTrap::Kind::cpuid});
    }
    if (mapping.with_map_calls) {
        for (const cpuid::Site& site : scan.mmap_calls) {
            if (const auto address = place(site)) wanted.push_back({*address, PlantedTrap::Kind::map_call});
        }
    }
    PlantingCounts counts;
    counts.undecided = static_cast<std::size_t>(
        std::ranges::count_if(scan.undecided, [&](const cpuid::Site& site) { return place(site).has_value(); }));
    // What was mapped here before is gone, and its traps with it.
    std::erase_if(space.traps, [&](const PlantedTrap& trap) {
        return trap.address >= mapping.start && trap.address < mapping.end;
    });
    if (wanted.empty()) return counts;
    std::ranges::sort(wanted);

    const Fd memory(::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDWR | O_CLOEXEC));
    if (!memory.valid()) {
        ++counts.unreadable;
        return counts;
    }
    for (std::size_t i = 0; i < wanted.size();) {
        std::size_t end = i + 1;
        while (end < wanted.size() && wanted[end].address / kPage == wanted[i].address / kPage) ++end;
        const std::size_t before = space.traps.size();
        plant_page(memory.get(), std::span(wanted).subspan(i, end - i), space.traps);
        counts.planted += static_cast<std::size_t>(
            std::count_if(space.traps.begin() + static_cast<std::ptrdiff_t>(before), space.traps.end(),
                          [](const PlantedTrap& trap) { return trap.kind == PlantedTrap::Kind::cpuid; }));
        i = end;
    }
    std::ranges::sort(space.traps);
    return counts;
}

PlantingCounts Planter::plant_program(pid_t pid, AddressSpace& space, std::uint64_t interpreter_base) {
    PlantingCounts total;
    const auto mappings = read_memory_map(pid);
    std::uint64_t interpreter_inode = 0;
    for (const MemoryMapping& mapping : mappings) {
        if (interpreter_base != 0 && mapping.start == interpreter_base) interpreter_inode = mapping.inode;
    }
    for (const MemoryMapping& mapping : mappings) {
        if (!mapping.executable || mapping.inode == 0) continue;
        const bool interpreter = interpreter_inode != 0 && mapping.inode == interpreter_inode;
        const bool loads = interpreter || (interpreter_base == 0 && is_loader(mapping.path));
        const Fd file = open_mapped_file(pid, mapping, !interpreter);
        const auto found = file.valid() ? scan(file.get()) : nullptr;
        if (!found) {
            ++total.unreadable;
            continue;
        }
        const auto counts = plant(pid, space, {mapping.start, mapping.end, mapping.offset, loads}, *found);
        total.planted += counts.planted;
        total.undecided += counts.undecided;
        total.unreadable += counts.unreadable;
    }
    return total;
}

PlantingCounts Planter::plant_mapping(pid_t pid, AddressSpace& space, std::uint64_t start, std::uint64_t length,
                                      int fd, std::uint64_t offset) {
    const Fd file(::open(fmt::format("/proc/{}/fd/{}", pid, fd).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    const auto found = file.valid() ? scan(file.get()) : nullptr;
    if (!found) return {0, 0, 1};
    return plant(pid, space, {start, start + length, offset, false}, *found);
}

}  // namespace cpulevel::engine::ptrace
