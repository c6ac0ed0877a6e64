// The code of a process that runs already is put under the level, or back under it: its jumps are judged, its traps planted.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cpuid/flat_table.h"
#include "cpuid/stub_check.h"
#include "engine/ptrace/memory_map.h"
#include "engine/ptrace/supervisor.h"
#include "util/file.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::byte kHalt{0xf4}, kJump{0xe9}, kNop{0x90}, kFirst{0x0f}, kSecondOfCpuid{0xa2};
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMostArea = 4U << 20U;  // bytes of a mapping that are searched: an area has some pages

// The mapped file itself, also one that was deleted or replaced; that needs CAP_CHECKPOINT_RESTORE.
Fd open_mapped(pid_t pid, const MemoryMapping& mapping) {
    constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    Fd file(::open(fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, mapping.start, mapping.end).c_str(), kFlags));
    if (!file.valid()) file = open_mapped_file(pid, mapping, false);
    if (!file.valid()) file = open_mapped_file(pid, mapping, true);
    return file;
}

bool is_call(std::span<const std::byte> bytes) {
    return bytes[1] == std::byte{0x05} || bytes[1] == std::byte{0x80};
}

// A process's memory, with a note of every byte that is changed.
class Memory {
   public:
    Memory(pid_t pid, std::vector<ChangedByte>* changed)
        : pid_(pid), file_(::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDWR | O_CLOEXEC)), changed_(changed) {}
    [[nodiscard]] bool valid() const { return file_.valid(); }
    [[nodiscard]] std::size_t read(std::uint64_t address, std::span<std::byte> into) const {
        const ssize_t got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(address));
        return got < 0 ? 0 : static_cast<std::size_t>(got);
    }
    [[nodiscard]] bool write(std::uint64_t address, std::span<const std::byte> bytes) const {
        std::vector<std::byte> before(bytes.size());
        if (read(address, before) != before.size()) return false;
        if (::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address)) != static_cast<ssize_t>(bytes.size())) {
            return false;
        }
        for (std::size_t i = 0; changed_ != nullptr && i < bytes.size(); ++i) {
            if (before[i] != bytes[i]) changed_->push_back({pid_, address + i, before[i]});
        }
        return true;
    }

   private:
    pid_t pid_;
    Fd file_;
    std::vector<ChangedByte>* changed_;
};

// Where a map call's stub has the HLT that stops it, or the NOP that a release put there.
std::uint64_t map_stop_of(std::uint64_t stub) { return stub + cpuid::map_call_stub_length() - 1; }

// Does the jump at `address`, where the patch starts, lead to a stub for it in one of the areas?
bool leads_home(const Memory& memory, std::span<const std::byte> bytes, const cpuid::SitePatch& patch, std::uint64_t address,
                std::span<const KnownArea> areas) {
    const std::uint64_t target = cpuid::jump_target(bytes, address);
    const auto area = std::ranges::find_if(areas, [&](const KnownArea& one) { return target > one.routine && target < one.end; });
    if (area == areas.end()) return false;
    std::array<std::byte, cpuid::kLongestStub> stub;
    const std::size_t got = memory.read(target, stub);
    const std::size_t stop = cpuid::map_call_stub_length() - 1;
    if (is_call(std::span(patch.original).subspan(patch.site)) && got > stop && stub[stop] == kNop) stub[stop] = kHalt;
    return cpuid::is_stub_of({&patch, address}, std::span(stub).first(got), target, area->routine);
}

}  // namespace

std::vector<CodeModule> Planter::examine_process(pid_t pid, std::uint64_t interpreter_base, PlantingCounts& counts) {
    const auto mappings = read_memory_map(pid);
    std::map<std::pair<std::uint64_t, std::string>, CodeModule> modules;
    std::pair<std::uint64_t, std::string> interpreter;
    for (const MemoryMapping& mapping : mappings) {
        if (interpreter_base != 0 && mapping.start == interpreter_base) interpreter = {mapping.inode, mapping.path};
    }
    for (const MemoryMapping& mapping : mappings) {
        if (mapping.inode == 0 || !mapping.executable) continue;
        const auto [found, first] = modules.try_emplace({mapping.inode, mapping.path});
        CodeModule& module = found->second;
        if (first) {
            module.loads = interpreter_base != 0 ? found->first == interpreter : is_loader(mapping.path);
            const Fd file = open_mapped(pid, mapping);
            if (file.valid()) module.file = known_file(fmt::format("/proc/self/fd/{}", file.get()).c_str());
            if (!module.file || !module.file->scan) ++counts.unreadable;
        }
        module.mappings.push_back({mapping.start, mapping.end, mapping.offset});
    }
    std::vector<CodeModule> result;
    for (auto& [key, module] : modules) {
        if (module.file && module.file->scan) result.push_back(std::move(module));
    }
    return result;
}

std::vector<std::uint64_t> Planter::live_sites(pid_t pid) {
    std::vector<std::uint64_t> addresses;
    const Memory memory(pid, nullptr);
    if (!memory.valid()) return addresses;
    PlantingCounts ignored;
    for (const CodeModule& module : examine_process(pid, 0, ignored)) {
        const cpuid::SiteScan& scan = *module.file->scan;
        for (const cpuid::Site& site : scan.sites) {
            const auto address = cpuid::address_of(module.mappings, site.file_offset, 2);
            if (!address) continue;
            const cpuid::SitePatch* const patch = cpuid::patch_of(module.mappings, scan.patches, site);
            std::byte first{};
            const bool jumps = patch != nullptr && memory.read(*address - patch->site, std::span(&first, 1)) == 1 && first == kJump;
            if (!jumps) addresses.push_back(*address);
        }
    }
    std::ranges::sort(addresses);
    return addresses;
}

std::vector<KnownArea> Planter::find_areas(pid_t pid) const {
    std::vector<KnownArea> areas;
    if (table_.empty()) return areas;
    const Memory memory(pid, nullptr);
    if (!memory.valid()) return areas;
    for (const MemoryMapping& mapping : read_memory_map(pid)) {
        if (mapping.inode != 0 || !mapping.executable || mapping.path == "[vdso]" || mapping.path == "[vsyscall]") continue;
        std::vector<std::byte> bytes(std::min(mapping.end - mapping.start, kMostArea));
        bytes.resize(memory.read(mapping.start, bytes));
        // Neighbours that were mapped one by one are one mapping to the kernel.
        for (std::uint64_t at = 0; at < bytes.size(); at += kPage) {
            const auto found = cpuid::inspect_stub_area(std::span(bytes).subspan(at), table_);
            if (!found) continue;
            if (!found->same_table) {
                const auto table = cpuid::fitted_table(table_, found->table_size);
                if (!table || !memory.write(mapping.start + at, *table)) continue;
            }
            // The answers of CPUs that it is on no more.
            constexpr std::array<std::byte, 4> kNowhere{};
            if (found->has_live_rows && !memory.write(mapping.start + at + offsetof(cpuid::FlatHeader, live_at), kNowhere)) continue;
            // What needed no stop was known to a supervisor that may have been on another machine.
            constexpr std::array<std::byte, 4> kNoFiles{};
            if (!memory.write(mapping.start + at + found->file_count, kNoFiles)) continue;
            areas.push_back({mapping.start + at, mapping.start + bytes.size(), mapping.start + at + found->routine_offset});
        }
    }
    for (std::size_t i = 1; i < areas.size(); ++i) {
        if (areas[i - 1].end > areas[i].start && areas[i - 1].start < areas[i].start) areas[i - 1].end = areas[i].start;
    }
    return areas;
}

std::optional<PlantingCounts> Planter::take_over(pid_t pid, AddressSpace& space, const CodeModule& module,
                                                 std::span<const KnownArea> areas, std::vector<ChangedByte>& changed) const {
    PlantingCounts counts;
    const cpuid::SiteScan& scan = *module.file->scan;
    counts.undecided = cpuid::count_mapped(module.mappings, scan.undecided);
    const Memory memory(pid, &changed);
    if (!memory.valid()) return std::nullopt;
    // What is to be done about a jump where a patch would stand: nothing if it is ours; else it is undone.
    enum class Jump : std::uint8_t { none, ours, undone, stuck };
    const auto judge = [&](const cpuid::SitePatch* patch, std::uint64_t site, std::uint64_t& stub) {
        if (patch == nullptr) return Jump::none;
        const std::uint64_t start = site - patch->site;
        std::array<std::byte, cpuid::SitePatch::kMostLength> bytes{};
        if (memory.read(start, std::span(bytes).first(patch->length)) != patch->length || bytes[0] != kJump) return Jump::none;
        const auto original = std::span(patch->original).first(cpuid::SitePatch::kJumpLength);
        if (leads_home(memory, bytes, *patch, start, areas)) {
            ReplacedSite& replaced = space.jumps.emplace_back();
            replaced.address = start;
            replaced.instruction = site;
            replaced.stub = cpuid::jump_target(bytes, start);
            std::ranges::copy(original, replaced.original.begin());
            stub = replaced.stub;
            return Jump::ours;
        }
        // Of another version of ours or another level. Nobody can be inside of the bytes: they were a jump before they ran.
        return memory.write(start, original) ? Jump::undone : Jump::stuck;
    };
    for (const cpuid::Site& site : scan.sites) {
        const auto address = cpuid::address_of(module.mappings, site.file_offset, 2);
        if (!address) continue;
        std::uint64_t stub = 0;
        const Jump jump = judge(cpuid::patch_of(module.mappings, scan.patches, site), *address, stub);
        if (jump == Jump::stuck) return std::nullopt;
        if (jump == Jump::ours) {
            ++counts.in_memory;
            continue;
        }
        std::array<std::byte, 2> bytes{};
        if (memory.read(*address, bytes) != bytes.size()) continue;
        if (bytes[1] != kSecondOfCpuid || (bytes[0] != kFirst && bytes[0] != kHalt)) continue;
        const std::byte first = traps_ ? kHalt : kFirst;
        if (bytes[0] != first && !memory.write(*address, std::span(&first, 1))) return std::nullopt;
        if (!traps_) continue;
        space.traps.push_back({*address, PlantedTrap::Kind::cpuid});
        ++counts.planted;
    }
    for (const cpuid::Site& site : scan.mmap_calls) {
        const auto address = cpuid::address_of(module.mappings, site.file_offset, 2);
        if (!address) continue;
        std::uint64_t stub = 0;
        const Jump jump = judge(cpuid::patch_of(module.mappings, scan.map_call_patches, site), *address, stub);
        if (jump == Jump::stuck) return std::nullopt;
        if (jump == Jump::ours) {
            const bool stops = module.loads;
            const std::byte last = stops ? kHalt : kNop;
            if (!memory.write(map_stop_of(stub), std::span(&last, 1))) return std::nullopt;
            if (stops) space.traps.push_back({map_stop_of(stub), PlantedTrap::Kind::map_stop});
            continue;
        }
        std::array<std::byte, 2> bytes{};
        if (memory.read(*address, bytes) != bytes.size() || !is_call(bytes)) continue;
        const std::byte original = bytes[1] == std::byte{0x80} ? std::byte{0xcd} : kFirst;
        if (bytes[0] != original && bytes[0] != kHalt) continue;
        const bool wanted = traps_ && module.loads;
        const std::byte first = wanted ? kHalt : original;
        if (bytes[0] != first && !memory.write(*address, std::span(&first, 1))) return std::nullopt;
        if (wanted) space.traps.push_back({*address, PlantedTrap::Kind::map_call});
    }
    std::ranges::sort(space.traps);
    return counts;
}

void Planter::find_traps(pid_t pid, AddressSpace& space) {
    const Memory memory(pid, nullptr);
    if (!memory.valid()) return;
    PlantingCounts ignored;
    std::vector<PlantedTrap> traps;
    for (const CodeModule& module : examine_process(pid, 0, ignored)) {
        auto look = [&](const cpuid::Site& site, PlantedTrap::Kind kind) {
            const auto address = cpuid::address_of(module.mappings, site.file_offset, 2);
            std::array<std::byte, cpuid::SitePatch::kJumpLength> bytes{};
            if (!address || memory.read(*address, bytes) != bytes.size()) return;
            if (bytes[0] == kHalt) traps.push_back({*address, kind});
            if (kind != PlantedTrap::Kind::map_call || bytes[0] != kJump) return;
            const std::uint64_t stub = cpuid::jump_target(bytes, *address);
            std::vector<std::byte> code(cpuid::map_call_stub_length());
            if (memory.read(stub, code) == code.size() && cpuid::is_map_call_stub(code)) {
                traps.push_back({map_stop_of(stub), PlantedTrap::Kind::map_stop});
            }
        };
        for (const cpuid::Site& site : module.file->scan->sites) look(site, PlantedTrap::Kind::cpuid);
        for (const cpuid::Site& site : module.file->scan->mmap_calls) look(site, PlantedTrap::Kind::map_call);
    }
    std::ranges::sort(traps);
    space.traps = std::move(traps);
    space.unknown_traps = false;
}

// The routine is called by the thread itself, at full speed, and returns into the vdso's system call instruction, where
// the thread stops before any call is done: no code is written and no signal is raised for it. That instruction overwrites
// RCX, so ECX is not compared.
std::optional<bool> Supervisor::answers_the_level(Thread& thread, std::uint64_t routine) {
    const pid_t tid = thread.tid;
    user_regs_struct saved{};
    const auto mask = signal_mask(tid);
    const std::uint64_t gadget = value(thread.space->syscall_gadget);
    // A filter other than ours (call_filter.h) would be asked about the call; a shadow stack would not know the return address.
    const auto status = read_file(fmt::format("/proc/{}/status", tid));
    const bool asks_a_filter = count_filters(tid) > (policy_.filter_is_ours ? 1U : 0U);
    if (gadget == 0 || !mask || asks_a_filter || !status || status->find("shstk") != std::string::npos ||
        ::ptrace(PTRACE_GETREGS, tid, nullptr, &saved) != 0) {
        return std::nullopt;
    }
    constexpr std::uint32_t kLeaf = 7;
    constexpr std::uint64_t kBelow = 1024;  // beyond the red zone
    user_regs_struct there = saved;
    there.rsp = ((saved.rsp - kBelow) & ~std::uint64_t{15}) - sizeof gadget;
    there.rip = routine;
    there.rax = kLeaf;
    there.rcx = 0;
    there.orig_rax = ~0ULL;
    if (!write_memory(tid, RemoteAddress{there.rsp}, std::as_bytes(std::span(&gadget, 1)))) return std::nullopt;
    if (!set_signal_mask(tid, ~std::uint64_t{0})) return std::nullopt;
    constexpr int kSyscallStop = SIGTRAP | 0x80;
    std::optional<bool> answer;
    if (::ptrace(PTRACE_SETREGS, tid, nullptr, &there) != 0 || ::ptrace(PTRACE_SYSCALL, tid, nullptr, nullptr) != 0) return answer;
    const NextStop stopped = next_stop(thread, kSyscallStop);
    if (stopped == NextStop::gone) return answer;
    user_regs_struct after{};
    if (stopped == NextStop::wanted && ::ptrace(PTRACE_GETREGS, tid, nullptr, &after) == 0) {
        const auto expected = policy_.cpuid.answer(kLeaf, 0, [&](std::uint32_t leaf, std::uint32_t subleaf) {
            return live_cpuid_.ask(-1, leaf, subleaf);
        });
        answer = static_cast<std::uint32_t>(after.orig_rax) == expected.eax &&
                 static_cast<std::uint32_t>(after.rbx) == expected.ebx && static_cast<std::uint32_t>(after.rdx) == expected.edx;
        after.orig_rax = ~0ULL;  // no call
        ::ptrace(PTRACE_SETREGS, tid, nullptr, &after);
    }
    if (!end_call(thread, stopped == NextStop::interrupted)) return std::nullopt;
    ::ptrace(PTRACE_SETREGS, tid, nullptr, &saved);
    set_signal_mask(tid, *mask);
    return answer;
}

}  // namespace cpulevel::engine::ptrace
