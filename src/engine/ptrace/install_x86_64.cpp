// Changing a module's sites in a stopped tracee: text is read in few calls, the plan is made, and carried out.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "cpuid/flat_table.h"
#include "cpuid/installer.h"
#include "cpuid/lookup_routine.h"
#include "engine/ptrace/planting.h"
#include "engine/ptrace/tracee_installer.h"

namespace cpulevel::engine::ptrace {

namespace {

std::vector<cpuid::Text> read_text(pid_t pid, std::span<const cpuid::TextRange> ranges) {
    std::vector<cpuid::Text> text;
    text.reserve(ranges.size());
    for (const cpuid::TextRange& range : ranges) {
        text.push_back({range.start, std::vector<std::byte>(range.end - range.start)});
    }
    constexpr std::size_t kMostAtOnce = 64;
    for (std::size_t first = 0; first < text.size(); first += kMostAtOnce) {
        const auto some = std::span(text).subspan(first, std::min(kMostAtOnce, text.size() - first));
        std::array<MemoryPiece, kMostAtOnce> pieces;
        for (std::size_t i = 0; i < some.size(); ++i) pieces[i] = {RemoteAddress{some[i].start}, some[i].bytes};
        std::size_t got = read_memory(pid, std::span(pieces).first(some.size()));
        for (cpuid::Text& each : some) {
            // What lies at an end of the text may reach beyond it; what is behind that was not read.
            const std::size_t part = std::min(got, each.bytes.size());
            if (part == 0) {
                each.bytes.resize(read_memory(pid, RemoteAddress{each.start}, each.bytes));
            } else {
                each.bytes.resize(part);
            }
            got -= part;
        }
    }
    return text;
}

}  // namespace

PlantingCounts Planter::install(pid_t pid, const Fd& memory, AddressSpace& space, const CodeModule& module,
                                std::vector<std::byte>* area_content) const {
    // What was mapped here before is gone, and its traps with it.
    for (const cpuid::CodeMapping& mapping : module.mappings) {
        const auto gone = [&](const auto& each) { return each.address >= mapping.start && each.address < mapping.end; };
        std::erase_if(space.traps, gone);
        std::erase_if(space.jumps, gone);
    }
    cpuid::ModuleCode code{.scan = module.file->scan.get(),
                           .mappings = module.mappings,
                           .needs_the_instruction = module.file->serializes,
                           .watch_calls = module.loads && (traps_ || module.area != 0),
                           .area = module.area,
                           .area_size = module.area_size,
                           .files = {.call = module.asks ? module.file->file_call : cpuid::KnownFiles::kNoCall,
                                     .files = without_cpuid_}};
    const std::vector<cpuid::Spot> spots = cpuid::find_spots(code);
    const std::vector<cpuid::Text> text = read_text(pid, cpuid::text_to_read(spots));
    for (;;) {
        cpuid::ModulePlan plan = cpuid::plan_module(code, spots, {table_, traps_, live_}, space.rooms, text);
        TraceeInstaller installer(memory, code.area != 0 ? area_content : nullptr);
        PlantingCounts counts{.in_memory = 0, .planted = 0, .undecided = plan.undecided, .unreadable = 0};
        std::vector<cpuid::StubRoom> rooms = std::move(plan.rooms);
        const cpuid::Installed done = cpuid::install(std::move(plan), installer);
        if (done.lost) {  // the program has unmapped an area of ours: what that would serve is planned without it
            if (*done.lost == code.area) code.area = 0;
            std::erase_if(space.rooms, [&](const cpuid::StubRoom& room) { return room.next == *done.lost; });
            continue;
        }
        space.rooms = std::move(rooms);
        space.jumps.insert(space.jumps.end(), done.jumps.begin(), done.jumps.end());
        space.traps.insert(space.traps.end(), done.traps.begin(), done.traps.end());
        std::ranges::sort(space.traps);
        counts.in_memory = done.in_memory;
        counts.planted = done.planted;
        counts.unreadable = done.unwritten;
        return counts;
    }
}

// The areas are the program's memory: what is no table of ours is left alone.
bool Planter::forget_live_answers(pid_t pid, const AddressSpace& space, std::vector<ChangedByte>& changed) const {
    constexpr std::uint64_t kDisplacement = sizeof(std::int32_t);
    const std::uint64_t displacement_at = cpuid::lookup_routine().table_displacement;
    for (const cpuid::StubRoom& room : space.rooms) {
        std::int32_t to_table = 0;
        const RemoteAddress from{room.routine + displacement_at};
        if (read_memory(pid, from, std::as_writable_bytes(std::span(&to_table, 1))) != kDisplacement) continue;
        const RemoteAddress table = from + kDisplacement + static_cast<std::uint64_t>(static_cast<std::int64_t>(to_table));
        cpuid::FlatHeader header;
        if (read_memory(pid, table, std::as_writable_bytes(std::span(&header, 1))) != sizeof header) continue;
        if (header.magic != cpuid::FlatHeader::kMagic || header.version != cpuid::FlatHeader::kVersion || header.live_at == 0) continue;
        constexpr std::array<std::byte, sizeof header.live_at> kNowhere{};
        const RemoteAddress at = table + offsetof(cpuid::FlatHeader, live_at);
        if (!write_text(open_process_memory(pid), at, kNowhere)) return false;
        const auto before = std::as_bytes(std::span(&header.live_at, 1));
        for (std::size_t i = 0; i < before.size(); ++i) changed.push_back({pid, value(at) + i, before[i]});
    }
    return true;
}

}  // namespace cpulevel::engine::ptrace
