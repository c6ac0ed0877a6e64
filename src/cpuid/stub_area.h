// The plan for answering a module's CPUID instructions from memory: which bytes an area of ours holds, and which bytes of
// the module become jumps to it. Pure: installing it is somebody else's (the ptrace engine writes it into a stopped
// tracee; an engine inside of a program could do the same).
//
// An area holds the level's table (flat_table.h), one routine that looks an answer up, and a short stub for each site:
// step over the red zone, save flags and the registers used, look up, restore, the moved instructions, jump back.
// Nothing in it is absolute, nothing is written at run time, it needs nobody attached; with CPUID faulting armed, the
// real CPUID that LIVE fields need faults as any other and is answered by the tracer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cpuid/patch.h"

namespace cpulevel::cpuid {

struct PlacedPatch {
    const SitePatch* patch = nullptr;
    std::uint64_t address = 0;  // of the site in the process
};

struct TextWrite {
    std::uint64_t address = 0;
    std::array<std::byte, SitePatch::kJumpLength> bytes{};
};

struct StubPlan {
    std::vector<std::byte> area;       // to be written at `area_address`, readable and executable
    std::vector<TextWrite> jumps;      // to be written after the area
    std::vector<std::uint64_t> left_out;  // addresses of sites that this area cannot serve (too far away)
};

// An upper bound of the area's size in bytes, for `sites` patches; a multiple of the page size.
[[nodiscard]] std::size_t stub_area_size(std::span<const std::byte> table, std::size_t sites);

// `table` is flatten()'s result. 64-bit code only.
[[nodiscard]] StubPlan plan_stub_area(std::span<const std::byte> table, std::uint64_t area_address,
                                      std::span<const PlacedPatch> sites);

// The stub for this site at `address`, where the lookup routine is at `routine`; nothing if something that it must reach is
// too far, or the patch is not what patch.h says.
[[nodiscard]] std::optional<std::vector<std::byte>> site_stub(std::uint64_t address, std::uint64_t routine,
                                                              const PlacedPatch& site);

}  // namespace cpulevel::cpuid
