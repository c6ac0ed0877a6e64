// What is changed so that a file's code, as it lies in a process, answers CPUID from the level: the plan. Pure: the bytes of
// the module's text, the layout of the address space and the level go in, pages to map and bytes to write come out. Carrying
// it out is an Installer's (installer.h).
//
// A site that can be moved (patch.h) becomes a jump to its stub (stub_area.h), in an area of the module's own or in the
// room that areas nearby have left; any other becomes a trap where traps are wanted: its first byte becomes F4, HLT, which
// faults as CPUID does where CPUID faulting is armed. A place is changed only while memory holds there what the file holds.
// The same goes for a loader's mmap calls, if somebody is there to be told of what was mapped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cpuid/known_files.h"
#include "cpuid/site_finder.h"
#include "cpuid/stub_area.h"

namespace cpulevel::cpuid {

// A part of a file that is mapped as code: [start, end) of the address space has the file from `offset` on.
struct CodeMapping {
    std::uint64_t start = 0, end = 0, offset = 0;
};

// Where these bytes of the file are; nothing: not all of them are mapped.
[[nodiscard]] std::optional<std::uint64_t> address_of(std::span<const CodeMapping> mappings, std::uint64_t file_offset,
                                                      std::size_t length);
// The patch of a site, if all of its bytes are mapped. `patches` of the file, by site_offset().
[[nodiscard]] const SitePatch* patch_of(std::span<const CodeMapping> mappings, std::span<const SitePatch> patches, const Site& site);
// How many of these sites are mapped.
[[nodiscard]] std::size_t count_mapped(std::span<const CodeMapping> mappings, std::span<const Site> sites);

// A trap over an instruction, whose first byte was replaced.
struct PlantedTrap {
    // map_call: over a loader's system call; map_stop: in a stub, behind a system call that mapped code
    enum class Kind : std::uint8_t { cpuid, map_call, map_stop };
    std::uint64_t address = 0;
    Kind kind = Kind::cpuid;
    friend auto operator<=>(const PlantedTrap&, const PlantedTrap&) = default;
};

// An instruction that became a jump, and the bytes that the jump replaced.
struct ReplacedSite {
    std::uint64_t address = 0;
    std::uint64_t instruction = 0;  // of the CPUID or system call: there, or some bytes behind
    std::uint64_t stub = 0;         // where the jump leads
    std::array<std::byte, SitePatch::kJumpLength> original{};
};

// One file's code in one process.
struct ModuleCode {
    const SiteScan* scan = nullptr;
    std::span<const CodeMapping> mappings;
    bool needs_the_instruction = false;  // it uses CPUID as a barrier: no jumps
    bool watch_calls = false;            // a loader's mmap calls are changed as well
    std::uint64_t area = 0;              // where pages for its own stubs are, or will be; 0: nowhere
    std::size_t area_size = 0;           // bytes
    KnownFiles files;                    // that need no stop when they are mapped
};

// What a program is to be given besides its own code.
struct PlanOptions {
    std::span<const std::byte> table;  // the level's (flat_table.h); empty: no stubs
    bool traps = false;                // for what stubs do not serve
    std::span<const std::byte> live = {};  // live_rows() of the table
};

// A place that is to be changed, as far as the file says.
struct Spot {
    std::uint64_t address = 0;         // of the instruction
    const SitePatch* patch = nullptr;  // null: can only be a trap
    PlantedTrap::Kind kind = PlantedTrap::Kind::cpuid;
    bool verified = false;             // memory holds it (plan_module() finds out)

    [[nodiscard]] std::uint64_t start() const { return patch == nullptr ? address : address - patch->site; }
};

struct TextRange {
    std::uint64_t start = 0, end = 0;
};
// What was read of a range: shorter than it where memory ends.
struct Text {
    std::uint64_t start = 0;
    std::vector<std::byte> bytes;
};

struct ModulePlan {
    struct Stubs {
        std::uint64_t at = 0;
        std::size_t map = 0;           // bytes of pages from there on that must be mapped first; 0: they are
        std::vector<std::byte> bytes;  // of an area, or of a part of one; readable and executable
    };
    // To be written in one go: all of it or nothing counts.
    struct Edit {
        std::uint64_t address = 0;
        std::vector<std::byte> bytes;
        std::vector<ReplacedSite> jumps;
        std::vector<PlantedTrap> traps;
        std::size_t cpuid_jumps = 0, cpuid_traps = 0;  // of these
    };
    std::vector<Stubs> stubs;             // before anything else
    std::vector<PlantedTrap> map_stops;   // that are in them
    std::vector<Edit> edits;              // by address
    std::vector<StubRoom> rooms;          // afterwards: what was given, and what the module's own area has left
    std::size_t undecided = 0;            // places that are, or could be, CPUID and are left alone
};

[[nodiscard]] std::vector<Spot> find_spots(const ModuleCode& module);  // by address
// What has to be read for a plan: by address, apart from each other. Empty: there is nothing to change.
[[nodiscard]] std::vector<TextRange> text_to_read(std::span<const Spot> spots);
// `text`: one for each of these. `rooms`: of areas that the process has; used where the module has none of its own.
[[nodiscard]] ModulePlan plan_module(const ModuleCode& module, std::vector<Spot> spots, const PlanOptions& options,
                                     std::span<const StubRoom> rooms, std::span<const Text> text);

}  // namespace cpulevel::cpuid
