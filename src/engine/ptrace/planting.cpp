#include "engine/ptrace/planting.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "cpuid/known_files.h"
#include "cpuid/stub_area.h"
#include "engine/ptrace/file_pages.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint64_t kMaximumFile = 1ULL << 30U;  // bytes; larger executables are left alone and counted
constexpr std::size_t kMaximumFiles = 4096;          // remembered
constexpr std::size_t kRoomForLibraries = 64U
                                          << 10U;  // bytes of address space in a loader's area; a stub takes 64 or 80

// HotSpot executes CPUID between threads that write code and threads that run it, for its effect on instruction fetch
// alone (OrderAccess::cross_modify_fence). A stub that answers from memory does not have that effect; a trap has it.
bool needs_a_serializing_cpuid(std::string_view path) { return path.substr(path.rfind('/') + 1) == "libjvm.so"; }

std::string file_name(int fd) {
    std::array<char, 4096> path;
    const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path.data(), path.size());
    return size < 0 ? std::string{} : std::string(path.data(), static_cast<std::size_t>(size));
}

std::uint32_t find_file_call(int fd, const cpuid::SiteScan& scan) {
    constexpr std::uint64_t kMost = 16U << 20U;  // a loader's text has some 100 KiB
    for (const cpuid::Layout::Text& text : scan.layout.text) {
        std::vector<std::byte> code(std::min(text.size, kMost));
        const ssize_t got = ::pread(fd, code.data(), code.size(), static_cast<off_t>(text.offset));
        if (got <= 0) continue;
        if (const std::uint32_t call = cpuid::file_call(std::span(code).first(static_cast<std::size_t>(got)));
            call != 0)
            return call;
    }
    return cpuid::KnownFiles::kNoCall;
}

cpuid::FileIdentity identity_of(const struct stat& status) {
    return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size), status.st_mtim.tv_sec,
            status.st_mtim.tv_nsec};
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

// The file at a path of /proc, which is asked for once: one that was seen before is not opened again.
std::shared_ptr<const KnownFile> Planter::known_file(const char* path, cpuid::FileIdentity* identity_there) {
    struct stat status{};
    if (::stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) return nullptr;
    const cpuid::FileIdentity identity = identity_of(status);
    if (identity_there != nullptr) *identity_there = identity;
    if (const auto known = files_.find(identity); known != files_.end()) return known->second;
    auto file = examine(path, identity);
    if (!file) return nullptr;
    if (files_.size() >= kMaximumFiles) files_.clear();
    return files_.emplace(identity, std::move(file)).first->second;
}

// Null: it could not be opened now, or is another one by now.
std::shared_ptr<const KnownFile> Planter::examine(const char* path, const cpuid::FileIdentity& identity) const {
    const Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status{};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || identity_of(status) != identity) return nullptr;
    auto file = std::make_shared<KnownFile>();
    const std::string name = file_name(fd.get());
    file->serializes = needs_a_serializing_cpuid(name);
    file->named_loader = is_loader(name);
    if (identity.size <= kMaximumFile) file->scan = scan(fd.get(), identity);
    if (file->scan && !file->scan->map_call_patches.empty()) file->file_call = find_file_call(fd.get(), *file->scan);
    return file;
}

std::shared_ptr<const cpuid::SiteScan> Planter::scan(int fd, const cpuid::FileIdentity& identity) const {
    if (store_ != nullptr) {
        if (const auto record = store_->load(identity)) {
            if (auto kept = cpuid::read_site_record(identity, *record)) {
                return std::make_shared<const cpuid::SiteScan>(std::move(*kept));
            }
        }
    }
    const auto file = FilePages::read(fd, identity.size);
    if (!file) return nullptr;
    auto found = cpuid::find_sites(file->bytes());
    if (!found) return nullptr;
    if (store_ != nullptr) store_->save(identity, cpuid::write_site_record(identity, *found));
    return std::make_shared<const cpuid::SiteScan>(std::move(*found));
}

void Planter::size_area(CodeModule& module, bool is_32bit) const {
    const cpuid::SiteScan& scan = *module.file->scan;
    if (is_32bit || table_.empty()) return;
    const bool stubs = !scan.patches.empty() && !module.file->serializes;
    const bool watches = module.loads && !scan.map_call_patches.empty();
    if (!stubs && !watches) return;
    module.area_size = cpuid::stub_area_size(table_, scan.patches.size() + scan.map_call_patches.size(), live_.size());
    if (watches) module.area_size += kRoomForLibraries;
    module.asks = watches && module.file->file_call != cpuid::KnownFiles::kNoCall;
}

std::vector<CodeModule> Planter::examine_program(pid_t pid, std::uint64_t entry, std::uint64_t interpreter_base,
                                                 bool is_32bit, PlantingCounts& counts) {
    std::vector<CodeModule> modules;
    const auto add = [&](const std::string& path) -> CodeModule* {
        CodeModule module;
        module.file = known_file(path.c_str());
        if (!module.file || !module.file->scan) {
            ++counts.unreadable;
            return nullptr;
        }
        return &modules.emplace_back(std::move(module));
    };
    const auto place = [&](CodeModule& module, std::uint64_t bias) {
        const cpuid::Layout& layout = module.file->scan->layout;
        constexpr std::uint64_t kPage = 4096;
        module.below = (bias + layout.lowest) & ~(kPage - 1);
        for (const cpuid::Layout::Text& text : layout.text) {
            module.mappings.push_back({bias + text.address, bias + text.address + text.size, text.offset});
        }
        size_area(module, is_32bit);
    };
    std::string interpreter;
    if (CodeModule* const program = add(fmt::format("/proc/{}/exe", pid))) {
        interpreter = program->file->scan->layout.interpreter;
        program->loads = interpreter_base == 0 && program->file->named_loader;
        place(*program, entry - program->file->scan->layout.entry);
    }
    if (interpreter_base == 0) return modules;
    if (CodeModule* const loader =
            interpreter.empty() ? nullptr : add(fmt::format("/proc/{}/root{}", pid, interpreter))) {
        loader->loads = true;
        place(*loader, interpreter_base);
        if (!loader->mappings.empty()) {
            constexpr std::uint64_t kPage = 4096;
            const std::uint64_t end = (loader->mappings.back().end + 15) & ~std::uint64_t{15};
            loader->slack = end;
            loader->slack_size = (kPage - end % kPage) % kPage;
        }
    }
    return modules;
}

std::optional<CodeModule> Planter::examine_mapping(pid_t pid, std::uint64_t start, std::uint64_t length, int fd,
                                                   std::uint64_t offset, PlantingCounts& counts) {
    std::array<char, 64> path;
    *fmt::format_to(path.data(), "/proc/{}/fd/{}", pid, fd) = '\0';
    CodeModule module;
    cpuid::FileIdentity identity;
    module.file = known_file(path.data(), &identity);
    if (!module.file || !module.file->scan) {
        ++counts.unreadable;
        return std::nullopt;
    }
    module.mappings.push_back({start, start + length, offset});
    if (module.file->scan->sites.empty()) {
        if (std::ranges::find(without_cpuid_, identity) == without_cpuid_.end()) {
            if (without_cpuid_.size() >= cpuid::KnownFiles::kMost) without_cpuid_.erase(without_cpuid_.begin());
            without_cpuid_.push_back(identity);
        }
        counts.undecided += cpuid::count_mapped(module.mappings, module.file->scan->undecided);
        return std::nullopt;
    }
    return module;
}

}  // namespace cpulevel::engine::ptrace
