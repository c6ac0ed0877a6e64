// Finds CPUID instructions in a module's executable bytes by decoding, for machines whose CPU cannot make CPUID
// fault (older AMD, emulators, some clouds). Pure: bytes in, offsets out.
//
// The byte pair 0F A2 in a text segment is a CPUID instruction only if execution can arrive at its first byte as an
// instruction boundary; by chance it also stands inside immediates, displacements and data. Overwriting such a one
// would corrupt the program. So a place counts as a *site* only where an anchor (a function's start, from
// .eh_frame, symbols, Go's pclntab) and a linear decode from there prove the boundary; everything else is *undecided* and is
// counted, never touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cpuid/patch.h"
#include "util/error.h"

namespace cpulevel::cpuid {

struct Site {
    std::uint64_t file_offset = 0;      // of the instruction's 0F byte
    std::uint64_t address = 0;          // virtual address as linked (without load bias)
    friend auto operator<=>(const Site&, const Site&) = default;
};

// How the kernel and the loader place the file, so that its text is found in a process without reading its memory map.
struct Layout {
    struct Text {                       // the part of an executable segment that is in the file
        std::uint64_t offset = 0, address = 0, size = 0;
        friend bool operator==(const Text&, const Text&) = default;
    };
    std::vector<Text> text;             // by address
    std::uint64_t lowest = 0;           // address of the first segment
    std::uint64_t entry = 0;            // where it starts; the kernel tells where that came to lie (AT_ENTRY)
    std::string interpreter;            // path; empty: none
    friend bool operator==(const Layout&, const Layout&) = default;
};

struct SiteScan {
    std::vector<Site> sites;            // certain CPUID instructions, by address
    std::vector<Site> undecided;        // 0F A2 that could not be proven either way
    std::vector<Site> mmap_calls;       // certain SYSCALL (0F 05) / INT 0x80 instructions reached with EAX loaded as mmap
                                        // (9; i386: 192) or mprotect (10; 125), in a dynamic loader: how libraries are mapped
    std::vector<SitePatch> patches;     // of those sites that can become jumps (64-bit code only), by site_offset()
    std::vector<Unpatched> unpatched;   // and why the others cannot, by file offset (64-bit code only)
    std::vector<SitePatch> map_call_patches;  // of those mmap_calls that can become jumps (64-bit code only), by file offset
    Layout layout;
    std::string build_id;               // hex, empty if the file has none
};

// `elf` is a whole ELF file (64- or 32-bit x86; anything else is an error), hostile until proven otherwise.
[[nodiscard]] Result<SiteScan> find_sites(std::span<const std::byte> elf);

}  // namespace cpulevel::cpuid
