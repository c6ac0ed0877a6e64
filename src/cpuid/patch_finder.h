// Which certain CPUID instructions can become jumps: the proof behind SiteScan::patches (patch.h says what must be
// proved). Pure.
//
// The danger is that something arrives at a byte that moved: in [site + 1, site + length), the interior. Who can?
//
//   direct branches    of the function itself: its decode shows them. Of other functions (gcc splits cold parts off a
//                      function, which jump back into it): decoding a whole file takes too long (node: 99 MB), so
//                      every byte of executable segments is taken for the start of a branch's displacement, or of that
//                      of a LEA which takes a label's address. That finds every branch there is, and some
//                      that are none, which costs a patch at worst.
//   pointers           Label addresses in tables (non-PIC switches, computed goto), symbols, relocations that write or
//                      point into the interior: each is an absolute address somewhere in the loaded file or its symbol
//                      tables, four bytes aligned. Any such value refuses.
//   relative tables    PIC switches: MOVSXD reads an entry relative to the table, whose address a LEA took, and
//                      a jump through a register follows. In a function with such a jump, or one that jumps into a part
//                      (or tail-calls a function) with one, everything that a LEA in the file names is read as a table.
//                      Other jumps through registers have no patch in their function. (A jump through
//                      memory reads a pointer, see above.)
//   landing pads       of exceptions: entered by the unwinder only. Compilers make each its own block that no
//                      instruction falls into (LLVM's verifier demands it; gcc's exception edges lead to blocks of
//                      their own), and what moves is what the CPUID falls through to. So no pad is there,
//                      whatever .gcc_except_table says.
//   returns            lead behind calls, and no call moves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpuid/code_range.h"
#include "cpuid/decoder.h"
#include "cpuid/elf_image.h"
#include "cpuid/raw_arrivals.h"
#include "cpuid/site_finder.h"
#include "cpuid/switch_tables.h"

namespace cpulevel::cpuid {

struct PatchQuestion {
    const ElfImage& image;
    RawArrivals& arrivals;                 // at least at these sites
    SwitchTables& tables;
    std::span<const Site> sites;           // CPUID or SYSCALL, by address
    std::span<const CodeRange> ranges;     // code_ranges(image)
    std::span<const CodeRange> believed;   // of those, what was found consistent; sorted
    // Move what stands before the site, not what stands behind it. Nothing that a patch of `taken` replaces is moved.
    bool before = false;
    std::span<const SitePatch> taken;
};

struct PatchAnswer {
    std::vector<SitePatch> patches;        // by file offset
    std::vector<Unpatched> unpatched;      // by file offset
};

// What a patch alone can prove: its bytes are a site and whole instructions that may move, the operands are theirs.
[[nodiscard]] bool proves_itself(Decoder& decoder, const SitePatch& patch);

// `budget` as in range_analysis.h. Of an x32 or 32-bit file there are no patches.
[[nodiscard]] PatchAnswer find_patches(Decoder& decoder, const PatchQuestion& question, std::uint64_t& budget);

}  // namespace cpulevel::cpuid
