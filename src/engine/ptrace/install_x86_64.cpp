// Changing a module's sites in a stopped tracee: bytes are read once, compared with what the file has, edited, and
// written back a page at a time, so that a page that is touched is copied once and no other one is.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cpuid/stub_area.h"
#include "engine/ptrace/planting.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::byte kHalt{0xf4};
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kNear = 4 * kPage;  // sites closer than this are read together

struct Spot {
    std::uint64_t address = 0;
    const cpuid::SitePatch* patch = nullptr;  // null: can only be a trap
    PlantedTrap::Kind kind = PlantedTrap::Kind::cpuid;
    bool verified = false;
};

std::optional<std::uint64_t> place(const CodeModule& module, std::uint64_t file_offset, std::size_t length) {
    for (const CodeModule::Mapping& mapping : module.mappings) {
        if (file_offset < mapping.offset) continue;
        const std::uint64_t address = mapping.start + (file_offset - mapping.offset);
        if (address < mapping.end && mapping.end - address >= length) return address;
    }
    return std::nullopt;
}

std::vector<Spot> find_spots(const CodeModule& module) {
    std::vector<Spot> spots;
    auto patch = module.scan->patches.begin();
    const auto last = module.scan->patches.end();
    for (const cpuid::Site& site : module.scan->sites) {
        const auto address = place(module, site.file_offset, 2);
        if (!address) continue;
        patch = std::ranges::find(module.scan->patches, site.file_offset, &cpuid::SitePatch::file_offset);
        const bool movable = patch != last && place(module, site.file_offset, patch->length).has_value();
        spots.push_back({*address, movable ? &*patch : nullptr});
    }
    if (module.loads) {
        for (const cpuid::Site& site : module.scan->mmap_calls) {
            if (const auto address = place(module, site.file_offset, 2)) {
                spots.push_back({*address, nullptr, PlantedTrap::Kind::map_call});
            }
        }
    }
    std::ranges::sort(spots, {}, &Spot::address);
    return spots;
}

bool holds_the_instruction(std::span<const std::byte> bytes, const Spot& spot) {
    if (spot.patch != nullptr) {
        const auto original = std::span(spot.patch->original).first(spot.patch->length);
        return bytes.size() >= original.size() && std::ranges::equal(bytes.first(original.size()), original);
    }
    if (bytes.size() < 2) return false;
    const auto is = [&](unsigned first, unsigned second) {
        return bytes[0] == std::byte(first) && bytes[1] == std::byte(second);
    };
    return spot.kind == PlantedTrap::Kind::cpuid ? is(0x0f, 0xa2) : is(0x0f, 0x05) || is(0xcd, 0x80);
}

// `mov $10 (mprotect), %eax; syscall`: maps nothing, so it need not be watched.
bool is_mprotect(std::span<const std::byte> before) {
    constexpr std::array kLoad{std::byte{0xb8}, std::byte{0x0a}, std::byte{0}, std::byte{0}, std::byte{0}};
    return before.size() >= kLoad.size() && std::ranges::equal(before.last(kLoad.size()), kLoad);
}

// SYSCALL and a jump to what is behind the watched one: most of a loader's mappings are of no interest, and this lets the
// thread go on after the one stop. Nothing where it is too far away.
std::optional<std::array<std::byte, CodeModule::kDetour>> make_detour(std::uint64_t at, std::uint64_t site) {
    constexpr std::uint64_t kCall = 2, kJump = 5;
    const auto distance = static_cast<std::int64_t>(site + kCall - (at + kCall + kJump));
    if (distance != static_cast<std::int32_t>(distance)) return std::nullopt;
    std::array<std::byte, CodeModule::kDetour> code;
    code.fill(std::byte{0xcc});
    code[0] = std::byte{0x0f};
    code[1] = std::byte{0x05};
    code[2] = std::byte{0xe9};
    for (unsigned i = 0; i < 4; ++i) code[3 + i] = static_cast<std::byte>(distance >> (8 * i));
    return code;
}

// A stretch of the module's text as it is in the process, edited here and written back by pages.
class Stretch {
   public:
    Stretch(pid_t pid, std::uint64_t start, std::uint64_t end) : start_(start), bytes_(end - start) {
        bytes_.resize(read_memory(pid, RemoteAddress{start}, bytes_));
    }
    [[nodiscard]] std::span<const std::byte> at(std::uint64_t address) const {
        return address - start_ >= bytes_.size() ? std::span<const std::byte>{} : std::span(bytes_).subspan(address - start_);
    }
    [[nodiscard]] std::span<const std::byte> before(std::uint64_t address) const {
        return std::span(bytes_).first(std::min<std::size_t>(address - start_, bytes_.size()));
    }
    void edit(std::uint64_t address, std::span<const std::byte> bytes) {
        std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(address - start_));
        edits_.emplace_back(address, address + bytes.size());
    }
    // Edits come in the order of their addresses.
    [[nodiscard]] bool write(int memory) const {
        for (std::size_t i = 0; i < edits_.size();) {
            const std::uint64_t first = edits_[i].first;
            std::uint64_t end = edits_[i].second;
            while (++i < edits_.size() && edits_[i].first / kPage == (end - 1) / kPage) end = edits_[i].second;
            const auto part = std::span(bytes_).subspan(first - start_, end - first);
            if (::pwrite(memory, part.data(), part.size(), static_cast<off_t>(first)) != static_cast<ssize_t>(part.size())) {
                return false;
            }
        }
        return true;
    }

   private:
    std::uint64_t start_;
    std::vector<std::byte> bytes_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> edits_;
};

std::size_t end_of_group(std::span<const Spot> spots, std::size_t first) {
    std::size_t end = first + 1;
    while (end < spots.size() && spots[end].address - spots[end - 1].address < kNear) ++end;
    return end;
}

}  // namespace

PlantingCounts Planter::install(pid_t pid, AddressSpace& space, const CodeModule& module) const {
    PlantingCounts counts;
    counts.undecided = static_cast<std::size_t>(std::ranges::count_if(
        module.scan->undecided, [&](const cpuid::Site& site) { return place(module, site.file_offset, 2).has_value(); }));
    // What was mapped here before is gone, and its traps with it.
    for (const CodeModule::Mapping& mapping : module.mappings) {
        std::erase_if(space.traps, [&](const PlantedTrap& trap) {
            return trap.address >= mapping.start && trap.address < mapping.end;
        });
        std::erase_if(space.jumps, [&](const ReplacedSite& jump) {
            return jump.address >= mapping.start && jump.address < mapping.end;
        });
    }
    std::vector<Spot> spots = find_spots(module);
    if (spots.empty()) return counts;
    const Fd memory(::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDWR | O_CLOEXEC));
    if (!memory.valid()) {
        ++counts.unreadable;
        return counts;
    }

    std::vector<Stretch> stretches;
    std::vector<cpuid::PlacedPatch> patches;
    for (std::size_t i = 0; i < spots.size();) {
        const std::size_t end = end_of_group(spots, i);
        constexpr std::uint64_t kBefore = 8;  // what loads a system call's number
        const Stretch& stretch = stretches.emplace_back(pid, spots[i].address - kBefore,
                                                        spots[end - 1].address + cpuid::SitePatch::kMostLength);
        for (; i < end; ++i) {
            spots[i].verified = holds_the_instruction(stretch.at(spots[i].address), spots[i]);
            if (spots[i].verified && spots[i].patch != nullptr) patches.push_back({spots[i].patch, spots[i].address});
        }
    }

    cpuid::StubPlan plan;
    if (module.area != 0 && !patches.empty()) {
        plan = cpuid::plan_stub_area(table_, module.area, patches);
        const bool fits = plan.area.size() <= module.area_size;
        if (!fits || ::pwrite(memory.get(), plan.area.data(), plan.area.size(), static_cast<off_t>(module.area)) !=
                         static_cast<ssize_t>(plan.area.size())) {
            plan.jumps.clear();
        }
    }
    std::ranges::sort(plan.jumps, {}, &cpuid::TextWrite::address);

    // The detours follow the stubs.
    std::uint64_t next_detour = plan.area.empty() ? 0 : module.area + (plan.area.size() + 15) / 16 * 16;
    const auto detour = [&](std::uint64_t site) -> std::uint64_t {
        if (next_detour == 0 || next_detour + CodeModule::kDetour > module.area + module.area_size) return 0;
        const auto code = make_detour(next_detour, site);
        if (!code || ::pwrite(memory.get(), code->data(), code->size(), static_cast<off_t>(next_detour)) !=
                         static_cast<ssize_t>(code->size())) {
            return 0;
        }
        return std::exchange(next_detour, next_detour + CodeModule::kDetour);
    };

    std::size_t stretch = 0;
    std::vector<PlantedTrap> planted;
    std::vector<ReplacedSite> replaced;
    for (std::size_t i = 0; i < spots.size(); ++stretch) {
        PlantingCounts done;
        planted.clear();
        replaced.clear();
        for (const std::size_t end = end_of_group(spots, i); i < end; ++i) {
            const Spot& spot = spots[i];
            if (!spot.verified) continue;
            if (spot.kind == PlantedTrap::Kind::map_call && is_mprotect(stretches[stretch].before(spot.address))) continue;
            const auto jump = std::ranges::lower_bound(plan.jumps, spot.address, {}, &cpuid::TextWrite::address);
            if (jump != plan.jumps.end() && jump->address == spot.address) {
                stretches[stretch].edit(spot.address, jump->bytes);
                ++done.in_memory;
                ReplacedSite& site = replaced.emplace_back();
                site.address = spot.address;
                std::ranges::copy(std::span(spot.patch->original).first(site.original.size()), site.original.begin());
            } else if (traps_) {
                stretches[stretch].edit(spot.address, std::span(&kHalt, 1));
                const bool call = spot.kind == PlantedTrap::Kind::map_call;
                planted.push_back({spot.address, spot.kind, call ? detour(spot.address) : 0});
                if (spot.kind == PlantedTrap::Kind::cpuid) ++done.planted;
            }
        }
        if (!stretches[stretch].write(memory.get())) continue;
        counts += done;
        space.traps.insert(space.traps.end(), planted.begin(), planted.end());
        space.jumps.insert(space.jumps.end(), replaced.begin(), replaced.end());
    }
    std::ranges::sort(space.traps);
    return counts;
}

}  // namespace cpulevel::engine::ptrace
