#include "engine/ptrace/planting.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "cpuid/stub_area.h"
#include "engine/ptrace/memory_map.h"

namespace cpulevel::engine::ptrace {

namespace {

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

// HotSpot executes CPUID between threads that write code and threads that run it, for its effect on instruction fetch
// alone (OrderAccess::cross_modify_fence). A stub that answers from memory does not have that effect; a trap has it.
bool needs_a_serializing_cpuid(std::string_view path) { return path.substr(path.rfind('/') + 1) == "libjvm.so"; }

std::string file_name(int fd) {
    std::array<char, 4096> path;
    const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path.data(), path.size());
    return size < 0 ? std::string{} : std::string(path.data(), static_cast<std::size_t>(size));
}

}  // namespace

bool is_loader(std::string_view path) {
    const std::string_view file = path.substr(path.rfind('/') + 1);
    return file.starts_with("ld-") || file.starts_with("ld.so") || file.starts_with("libc.");
}

PlantingCounts& PlantingCounts::operator+=(const PlantingCounts& other) {
    in_memory += other.in_memory;
    planted += other.planted;
    undecided += other.undecided;
    unreadable += other.unreadable;
    return *this;
}

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

void Planter::size_area(CodeModule& module, bool is_32bit) const {
    if (is_32bit || table_.empty() || module.scan->patches.empty() || module.serializes) return;
    module.area_size = cpuid::stub_area_size(table_, module.scan->patches.size());
    if (!module.loads) return;
    constexpr std::size_t kPage = 4096;
    module.area_size += (module.scan->mmap_calls.size() * CodeModule::kDetour + kPage - 1) / kPage * kPage;
}

std::vector<CodeModule> Planter::examine_program(pid_t pid, std::uint64_t interpreter_base, bool is_32bit,
                                                 PlantingCounts& counts) {
    const auto mappings = read_memory_map(pid);
    std::uint64_t interpreter_inode = 0;
    for (const MemoryMapping& mapping : mappings) {
        if (interpreter_base != 0 && mapping.start == interpreter_base) interpreter_inode = mapping.inode;
    }
    std::map<std::uint64_t, CodeModule> modules;  // by inode: a program has two files at most
    for (const MemoryMapping& mapping : mappings) {
        if (mapping.inode == 0) continue;
        const auto [found, first] = modules.try_emplace(mapping.inode);
        CodeModule& module = found->second;
        if (first) {
            const bool interpreter = mapping.inode == interpreter_inode;
            module.below = mapping.start;
            module.loads = interpreter || (interpreter_base == 0 && is_loader(mapping.path));
            const Fd file = open_mapped_file(pid, mapping, !interpreter);
            if (file.valid()) module.scan = scan(file.get());
            if (!module.scan) ++counts.unreadable;
        }
        if (mapping.executable) module.mappings.push_back({mapping.start, mapping.end, mapping.offset});
    }
    std::vector<CodeModule> result;
    for (auto& [inode, module] : modules) {
        if (!module.scan || module.mappings.empty()) continue;
        size_area(module, is_32bit);
        result.push_back(std::move(module));
    }
    return result;
}

std::optional<CodeModule> Planter::examine_mapping(pid_t pid, std::uint64_t start, std::uint64_t length, int fd,
                                                   std::uint64_t offset, bool is_32bit) {
    const Fd file(::open(fmt::format("/proc/{}/fd/{}", pid, fd).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    CodeModule module;
    if (file.valid()) module.scan = scan(file.get());
    if (!module.scan) return std::nullopt;
    module.serializes = needs_a_serializing_cpuid(file_name(file.get()));
    module.mappings.push_back({start, start + length, offset});
    size_area(module, is_32bit);
    return module;
}

}  // namespace cpulevel::engine::ptrace
