// Changing a module's sites in a stopped tracee: bytes are read once, compared with what the file has, edited, and
// written back a page at a time, so that a page that is touched is copied once and no other one is.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "cpuid/stub_area.h"
#include "engine/ptrace/planting.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::byte kHalt{0xf4};
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kNear = 4 * kPage;  // sites closer than this are read together

struct Spot {
    std::uint64_t address = 0;                // of the instruction
    const cpuid::SitePatch* patch = nullptr;  // null: can only be a trap
    PlantedTrap::Kind kind = PlantedTrap::Kind::cpuid;
    bool verified = false;

    [[nodiscard]] std::uint64_t start() const { return patch == nullptr ? address : address - patch->site; }
};

// `calls`: also what maps libraries.
std::vector<Spot> find_spots(const CodeModule& module, bool calls) {
    std::vector<Spot> spots;
    const auto add = [&](std::span<const cpuid::Site> sites, std::span<const cpuid::SitePatch> patches,
                         PlantedTrap::Kind kind) {
        for (const cpuid::Site& site : sites) {
            const auto address = module.address_of(site.file_offset, cpuid::SitePatch::kSiteLength);
            if (!address) continue;
            spots.push_back({*address, module.patch_of(patches, site), kind});
        }
    };
    const cpuid::SiteScan& scan = *module.file->scan;
    const std::span<const cpuid::SitePatch> patches = scan.patches;
    add(scan.sites, module.file->serializes ? patches.first(0) : patches, PlantedTrap::Kind::cpuid);
    if (calls) add(scan.mmap_calls, scan.map_call_patches, PlantedTrap::Kind::map_call);
    std::ranges::sort(spots, {}, &Spot::address);
    return spots;
}

// `bytes` from the spot's start on.
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

// A stretch of the module's text as it is in the process, edited here and written back by pages.
class Stretch {
   public:
    Stretch(std::uint64_t start, std::uint64_t end) : start_(start), bytes_(end - start) {}

    // All of them, in one system call.
    static void read(pid_t pid, std::vector<Stretch>& stretches) {
        constexpr std::size_t kMostAtOnce = 64;
        for (std::size_t first = 0; first < stretches.size(); first += kMostAtOnce) {
            const auto some = std::span(stretches).subspan(first, std::min(kMostAtOnce, stretches.size() - first));
            std::array<MemoryPiece, kMostAtOnce> pieces;
            for (std::size_t i = 0; i < some.size(); ++i) pieces[i] = {RemoteAddress{some[i].start_}, some[i].bytes_};
            std::size_t got = read_memory(pid, std::span(pieces).first(some.size()));
            for (Stretch& stretch : some) {
                // What lies at an end of the text may reach beyond it; what is behind that was not read.
                const std::size_t part = std::min(got, stretch.bytes_.size());
                if (part == 0) {
                    stretch.bytes_.resize(read_memory(pid, RemoteAddress{stretch.start_}, stretch.bytes_));
                } else {
                    stretch.bytes_.resize(part);
                }
                got -= part;
            }
        }
    }
    [[nodiscard]] std::span<const std::byte> at(std::uint64_t address) const {
        return address - start_ >= bytes_.size() ? std::span<const std::byte>{}
                                                 : std::span(bytes_).subspan(address - start_);
    }
    [[nodiscard]] std::span<const std::byte> before(std::uint64_t address) const {
        return std::span(bytes_).first(std::min<std::size_t>(address - start_, bytes_.size()));
    }
    void edit(std::uint64_t address, std::span<const std::byte> bytes) {
        std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(address - start_));
        edits_.emplace_back(address, address + bytes.size());
    }
    // Edits come in the order of their addresses. Pages between them that hold none are not touched: each that is
    // becomes a copy.
    [[nodiscard]] bool write(int memory) const {
        for (std::size_t i = 0; i < edits_.size();) {
            const std::uint64_t first = edits_[i].first;
            std::uint64_t end = edits_[i].second;
            while (++i < edits_.size() && edits_[i].first / kPage <= (end - 1) / kPage + 1) end = edits_[i].second;
            const auto part = std::span(bytes_).subspan(first - start_, end - first);
            if (::pwrite(memory, part.data(), part.size(), static_cast<off_t>(first)) !=
                static_cast<ssize_t>(part.size())) {
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

// Writes the stubs for `patches`, into the module's own area, then into what other areas have left. What was planned
// and written is appended to `jumps` and `stops`.
void write_stubs(int memory, std::span<const std::byte> table, const cpuid::KnownFiles& files, const CodeModule& module,
                 AddressSpace& space, std::vector<std::byte>* area_content, std::vector<cpuid::PlacedPatch> patches,
                 std::vector<cpuid::TextWrite>& jumps, std::vector<PlantedTrap>& stops) {
    const auto take = [&](cpuid::StubPlan plan) -> std::optional<cpuid::StubRoom> {
        if (plan.jumps.empty() && module.area == 0) return std::nullopt;
        if (area_content != nullptr && module.area != 0) {
            *area_content = std::move(plan.bytes);
        } else if (::pwrite(memory, plan.bytes.data(), plan.bytes.size(), static_cast<off_t>(plan.at)) !=
                   static_cast<ssize_t>(plan.bytes.size())) {
            return std::nullopt;
        }
        jumps.insert(jumps.end(), plan.jumps.begin(), plan.jumps.end());
        for (const std::uint64_t stop : plan.map_stops) stops.push_back({stop, PlantedTrap::Kind::map_stop});
        std::erase_if(patches, [&](const cpuid::PlacedPatch& patch) {
            return std::ranges::find(plan.left_out, patch.address) == plan.left_out.end();
        });
        return plan.room;
    };
    if (module.area != 0) {
        if (const auto room = take(cpuid::plan_stub_area(table, module.area, module.area_size, patches, files))) {
            space.rooms.push_back(*room);
        }
        return;
    }
    for (cpuid::StubRoom& room : space.rooms) {
        if (patches.empty()) return;
        if (const auto left = take(cpuid::plan_more_stubs(room, patches))) room = *left;
    }
}

std::uint64_t target_of(const cpuid::TextWrite& jump) {
    std::int32_t distance = 0;
    std::memcpy(&distance, &jump.bytes[1], sizeof distance);
    return jump.address + jump.bytes.size() + static_cast<std::uint64_t>(std::int64_t{distance});
}

std::size_t end_of_group(std::span<const Spot> spots, std::size_t first) {
    std::size_t end = first + 1;
    while (end < spots.size() && spots[end].address - spots[end - 1].address < kNear) ++end;
    return end;
}

}  // namespace

PlantingCounts Planter::install(pid_t pid, int memory, AddressSpace& space, const CodeModule& module,
                                std::vector<std::byte>* area_content) const {
    PlantingCounts counts;
    counts.undecided = module.undecided();
    // What was mapped here before is gone, and its traps with it.
    for (const CodeModule::Mapping& mapping : module.mappings) {
        const auto gone = [&](const auto& each) { return each.address >= mapping.start && each.address < mapping.end; };
        std::erase_if(space.traps, gone);
        std::erase_if(space.jumps, gone);
    }
    std::vector<Spot> spots = find_spots(module, module.loads && (traps_ || module.area != 0));
    if (spots.empty()) return counts;

    std::vector<Stretch> stretches;
    for (std::size_t i = 0; i < spots.size(); i = end_of_group(spots, i)) {
        constexpr std::uint64_t kBefore = cpuid::SitePatch::kMostLength;  // with what leads to the site
        stretches.emplace_back(spots[i].address - kBefore,
                               spots[end_of_group(spots, i) - 1].address + cpuid::SitePatch::kMostLength);
    }
    Stretch::read(pid, stretches);
    std::vector<cpuid::PlacedPatch> patches;
    std::size_t stretch = 0;
    for (std::size_t i = 0; i < spots.size(); ++stretch) {
        for (const std::size_t end = end_of_group(spots, i); i < end; ++i) {
            Spot& spot = spots[i];
            spot.verified = holds_the_instruction(stretches[stretch].at(spot.start()), spot);
            if (!spot.verified) {
                ++counts.undecided;
            } else if (spot.kind == PlantedTrap::Kind::map_call &&
                       is_mprotect(stretches[stretch].before(spot.address))) {
                spot.verified = false;
            } else if (spot.patch != nullptr) {
                patches.push_back({spot.patch, spot.start()});
            }
        }
    }

    std::vector<cpuid::TextWrite> jumps;
    std::vector<PlantedTrap> planted;
    const cpuid::KnownFiles files{.call = module.asks ? module.file->file_call : cpuid::KnownFiles::kNoCall,
                                  .files = without_cpuid_};
    if (!table_.empty())
        write_stubs(memory, table_, files, module, space, area_content, std::move(patches), jumps, planted);
    std::ranges::sort(jumps, {}, &cpuid::TextWrite::address);
    space.traps.insert(space.traps.end(), planted.begin(), planted.end());

    std::vector<ReplacedSite> replaced;
    stretch = 0;
    for (std::size_t i = 0; i < spots.size(); ++stretch) {
        PlantingCounts done;
        planted.clear();
        replaced.clear();
        for (const std::size_t end = end_of_group(spots, i); i < end; ++i) {
            const Spot& spot = spots[i];
            if (!spot.verified) continue;
            const bool is_cpuid = spot.kind == PlantedTrap::Kind::cpuid;
            const auto jump = std::ranges::lower_bound(jumps, spot.start(), {}, &cpuid::TextWrite::address);
            if (jump != jumps.end() && jump->address == spot.start()) {
                stretches[stretch].edit(spot.start(), jump->bytes);
                if (is_cpuid) ++done.in_memory;
                ReplacedSite& site = replaced.emplace_back();
                site.address = spot.start();
                site.instruction = spot.address;
                site.stub = target_of(*jump);
                std::ranges::copy(std::span(spot.patch->original).first(site.original.size()), site.original.begin());
            } else if (traps_) {
                stretches[stretch].edit(spot.address, std::span(&kHalt, 1));
                planted.push_back({spot.address, spot.kind});
                if (is_cpuid) ++done.planted;
            }
        }
        if (!stretches[stretch].write(memory)) {
            ++counts.unreadable;
            continue;
        }
        counts += done;
        space.traps.insert(space.traps.end(), planted.begin(), planted.end());
        space.jumps.insert(space.jumps.end(), replaced.begin(), replaced.end());
    }
    std::ranges::sort(space.traps);
    return counts;
}

}  // namespace cpulevel::engine::ptrace
