// The plan for answering a module's CPUID instructions from memory: which bytes an area of ours holds, and which bytes
// of the module become jumps to it. Pure: installing it is somebody else's (the ptrace engine writes it into a stopped
// tracee; an engine inside of a program could do the same).
//
// An area holds the level's table (flat_table.h), one routine that looks an answer up, and a short stub for each site:
// step over the red zone, save flags and the registers used, look up, restore, the moved instructions, jump back.
// Nothing in it is absolute, nothing is written at run time, it needs nobody attached; with CPUID faulting armed, the
// real CPUID that LIVE fields need faults as any other and is answered by the tracer.
//
// The loader's mmap calls (SiteScan::map_call_patches) get stubs of another kind: the call is done there, and where it
// asked for executable memory, a HLT behind it tells whoever watches for #GP that code may have arrived. Mappings
// without code cost nothing but the jump, and those of files in which no CPUID is (known_files.h) one system call more.
// With nobody to watch, no plan should have any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cpuid/known_files.h"
#include "cpuid/patch.h"

namespace cpulevel::cpuid {

struct PlacedPatch {
    const SitePatch* patch = nullptr;
    std::uint64_t address = 0;  // of the first byte that the jump replaces, in the process
};

struct TextWrite {
    std::uint64_t address = 0;
    std::array<std::byte, SitePatch::kJumpLength> bytes{};
};

// The free rest of an area that has its table and routine: where further modules' stubs may go.
struct StubRoom {
    std::uint64_t routine = 0;  // 0: there is no area
    std::uint64_t next = 0;     // addresses
    std::uint64_t end = 0;
};

struct StubPlan {
    std::uint64_t at = 0;
    std::vector<std::byte> bytes;          // to be written at `at`, readable and executable
    std::vector<TextWrite> jumps;          // to be written after that
    std::vector<std::uint64_t> left_out;   // addresses of sites that cannot be served (too far away, or no room)
    std::vector<std::uint64_t> map_stops;  // addresses of the HLT in the stubs of map calls
    StubRoom room;                         // afterwards
};

// An upper bound of the bytes needed for `sites` patches: for an area with its table (a multiple of the page size), and
// for further stubs alone.
// `live`: bytes of live_rows().
[[nodiscard]] std::size_t stub_area_size(std::span<const std::byte> table, std::size_t sites, std::size_t live = 0);
[[nodiscard]] std::size_t stubs_size(std::size_t sites);

// Does the stub of a map call begin here? Its last byte is the HLT.
[[nodiscard]] bool is_map_call_stub(std::span<const std::byte> stub);
[[nodiscard]] std::size_t map_call_stub_length();
inline constexpr std::size_t kLongestStub = 96;  // bytes, at most

// A new area: table, routine, stubs. `table` is flatten()'s result. 64-bit code only. `size`: of the area, bytes. `live`:
// live_rows() of the table; left out where the sites' stubs need the room.
[[nodiscard]] StubPlan plan_stub_area(std::span<const std::byte> table, std::uint64_t area_address, std::size_t size,
                                      std::span<const PlacedPatch> sites, const KnownFiles& files = {},
                                      std::span<const std::byte> live = {});
// Stubs of a further module in the room that an area has left.
[[nodiscard]] StubPlan plan_more_stubs(const StubRoom& room, std::span<const PlacedPatch> sites);

// The stub for this site at `address`, where the lookup routine is at `routine`; nothing if something that it must
// reach is too far, or the patch is not what patch.h says.
[[nodiscard]] std::optional<std::vector<std::byte>> site_stub(std::uint64_t address, std::uint64_t routine,
                                                              const PlacedPatch& site);

}  // namespace cpulevel::cpuid
