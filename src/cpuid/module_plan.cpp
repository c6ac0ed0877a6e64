#include "cpuid/module_plan.h"

#include <algorithm>
#include <utility>

namespace cpulevel::cpuid {

namespace {

constexpr std::byte kHalt{0xf4};
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kNear = 4 * kPage;  // sites closer than this are read together
constexpr std::uint64_t kBefore = SitePatch::kMostLength;  // read before a site: what leads to it

std::size_t end_of_group(std::span<const Spot> spots, std::size_t first) {
    std::size_t end = first + 1;
    while (end < spots.size() && spots[end].address - spots[end - 1].address < kNear) ++end;
    return end;
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

std::span<const std::byte> from(const Text& text, std::uint64_t address) {
    return address - text.start >= text.bytes.size() ? std::span<const std::byte>{}
                                                     : std::span(text.bytes).subspan(address - text.start);
}

std::span<const std::byte> before(const Text& text, std::uint64_t address) {
    return std::span(text.bytes).first(std::min<std::size_t>(address - text.start, text.bytes.size()));
}

// A stub for each of `patches`, in the module's own area or in what others have left. What got none stays a candidate for a trap.
std::vector<TextWrite> plan_stubs(const ModuleCode& module, const PlanOptions& options, std::vector<PlacedPatch> patches,
                                  ModulePlan& plan) {
    std::vector<TextWrite> jumps;
    const auto take = [&](StubPlan&& stubs, std::size_t map) {
        for (const std::uint64_t stop : stubs.map_stops) plan.map_stops.push_back({stop, PlantedTrap::Kind::map_stop});
        jumps.insert(jumps.end(), stubs.jumps.begin(), stubs.jumps.end());
        std::erase_if(patches, [&](const PlacedPatch& patch) {
            return std::ranges::find(stubs.left_out, patch.address) == stubs.left_out.end();
        });
        plan.stubs.push_back({stubs.at, map, std::move(stubs.bytes)});
        return stubs.room;
    };
    if (module.area != 0) {
        plan.rooms.push_back(take(
            plan_stub_area(options.table, module.area, module.area_size, patches, module.files, options.live), module.area_size));
    } else {
        for (StubRoom& room : plan.rooms) {
            if (patches.empty()) break;
            StubPlan more = plan_more_stubs(room, patches);
            if (!more.jumps.empty()) room = take(std::move(more), 0);
        }
    }
    std::ranges::sort(jumps, {}, &TextWrite::address);
    return jumps;
}

// Where the spot's change belongs: pages between edits that hold none are not touched, since each that is becomes a copy.
ModulePlan::Edit& edit_at(std::vector<ModulePlan::Edit>& edits, std::uint64_t address, std::size_t length, const Text& text) {
    const auto end_of = [](const ModulePlan::Edit& edit) { return edit.address + edit.bytes.size(); };
    const bool joins = !edits.empty() && edits.back().address >= text.start &&
                       address / kPage <= (end_of(edits.back()) - 1) / kPage + 1;
    if (!joins) edits.emplace_back().address = address;
    ModulePlan::Edit& edit = edits.back();
    if (end_of(edit) < address + length) {
        const auto more = from(text, end_of(edit)).first(address + length - end_of(edit));
        edit.bytes.insert(edit.bytes.end(), more.begin(), more.end());
    }
    return edit;
}

void change(ModulePlan::Edit& edit, std::uint64_t address, std::span<const std::byte> bytes) {
    std::ranges::copy(bytes, edit.bytes.begin() + static_cast<std::ptrdiff_t>(address - edit.address));
}

}  // namespace

std::optional<std::uint64_t> address_of(std::span<const CodeMapping> mappings, std::uint64_t file_offset, std::size_t length) {
    for (const CodeMapping& mapping : mappings) {
        if (file_offset < mapping.offset) continue;
        const std::uint64_t address = mapping.start + (file_offset - mapping.offset);
        if (address < mapping.end && mapping.end - address >= length) return address;
    }
    return std::nullopt;
}

const SitePatch* patch_of(std::span<const CodeMapping> mappings, std::span<const SitePatch> patches, const Site& site) {
    const auto patch = std::ranges::lower_bound(patches, site.file_offset, {}, &SitePatch::site_offset);
    if (patch == patches.end() || patch->site_offset() != site.file_offset) return nullptr;
    return address_of(mappings, patch->file_offset, patch->length) ? &*patch : nullptr;
}

std::size_t count_mapped(std::span<const CodeMapping> mappings, std::span<const Site> sites) {
    return static_cast<std::size_t>(std::ranges::count_if(sites, [&](const Site& site) {
        return address_of(mappings, site.file_offset, SitePatch::kSiteLength).has_value();
    }));
}

std::vector<Spot> find_spots(const ModuleCode& module) {
    std::vector<Spot> spots;
    const auto add = [&](std::span<const Site> sites, std::span<const SitePatch> patches, PlantedTrap::Kind kind) {
        for (const Site& site : sites) {
            const auto address = address_of(module.mappings, site.file_offset, SitePatch::kSiteLength);
            if (address) spots.push_back({*address, patch_of(module.mappings, patches, site), kind});
        }
    };
    const SiteScan& scan = *module.scan;
    const std::span<const SitePatch> patches = scan.patches;
    add(scan.sites, module.needs_the_instruction ? patches.first(0) : patches, PlantedTrap::Kind::cpuid);
    if (module.watch_calls) add(scan.mmap_calls, scan.map_call_patches, PlantedTrap::Kind::map_call);
    std::ranges::sort(spots, {}, &Spot::address);
    return spots;
}

std::vector<TextRange> text_to_read(std::span<const Spot> spots) {
    std::vector<TextRange> ranges;
    for (std::size_t i = 0; i < spots.size(); i = end_of_group(spots, i)) {
        ranges.push_back({spots[i].address - kBefore, spots[end_of_group(spots, i) - 1].address + SitePatch::kMostLength});
    }
    return ranges;
}

ModulePlan plan_module(const ModuleCode& module, std::vector<Spot> spots, const PlanOptions& options,
                       std::span<const StubRoom> rooms, std::span<const Text> text) {
    ModulePlan plan;
    plan.rooms.assign(rooms.begin(), rooms.end());
    plan.undecided = count_mapped(module.mappings, module.scan->undecided);
    if (spots.empty()) return plan;
    std::vector<PlacedPatch> patches;
    std::size_t read = 0;
    for (std::size_t i = 0; i < spots.size() && read < text.size(); ++read) {
        for (const std::size_t end = end_of_group(spots, i); i < end; ++i) {
            Spot& spot = spots[i];
            spot.verified = holds_the_instruction(from(text[read], spot.start()), spot);
            if (!spot.verified) {
                ++plan.undecided;
            } else if (spot.kind == PlantedTrap::Kind::map_call && is_mprotect(before(text[read], spot.address))) {
                spot.verified = false;
            } else if (spot.patch != nullptr) {
                patches.push_back({spot.patch, spot.start()});
            }
        }
    }
    std::vector<TextWrite> jumps;
    if (!options.table.empty()) jumps = plan_stubs(module, options, std::move(patches), plan);
    read = 0;
    for (std::size_t i = 0; i < spots.size() && read < text.size(); ++read) {
        for (const std::size_t end = end_of_group(spots, i); i < end; ++i) {
            const Spot& spot = spots[i];
            if (!spot.verified) continue;
            const bool is_cpuid = spot.kind == PlantedTrap::Kind::cpuid;
            const auto jump = std::ranges::lower_bound(jumps, spot.start(), {}, &TextWrite::address);
            if (jump != jumps.end() && jump->address == spot.start()) {
                ModulePlan::Edit& edit = edit_at(plan.edits, spot.start(), jump->bytes.size(), text[read]);
                change(edit, spot.start(), jump->bytes);
                if (is_cpuid) ++edit.cpuid_jumps;
                ReplacedSite& site = edit.jumps.emplace_back();
                site.address = spot.start();
                site.instruction = spot.address;
                site.stub = jump_target(jump->bytes, jump->address);
                std::ranges::copy(std::span(spot.patch->original).first(site.original.size()), site.original.begin());
            } else if (options.traps) {
                ModulePlan::Edit& edit = edit_at(plan.edits, spot.address, 1, text[read]);
                change(edit, spot.address, std::span(&kHalt, 1));
                if (is_cpuid) ++edit.cpuid_traps;
                edit.traps.push_back({spot.address, spot.kind});
            }
        }
    }
    return plan;
}

}  // namespace cpulevel::cpuid
