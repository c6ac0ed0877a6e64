// Which candidates in a stretch of code are instructions: the proof behind find_sites().
//
// A stretch is the union of overlapping function ranges. Two independent decodes are made of it:
//
//   flow    from every range's start along direct jumps, both ways of conditional ones, and on behind calls. Whatever it
//           reaches is an instruction if the anchors are right; data between functions or jump tables in the text are never
//           reached. It does not see what only an indirect jump reaches (switch tables, exception landing pads).
//   linear  from a range's start to its end, one instruction after the other. It sees everything, and goes astray
//           in data. So a range's linear decode is believed only if it is consistent: every instruction
//           decodes, the last one ends at the range's end, and every other anchor, every direct branch target and every
//           instruction of the flow decode stands on one of its boundaries.
//
// A candidate is proven an instruction, or proven part of another one, by a decode that is believed, and only if nothing
// that is believed says the opposite.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpuid/code_range.h"
#include "cpuid/decoder.h"

namespace cpulevel::cpuid {

enum class Verdict : std::uint8_t { undecided, site, not_an_instruction };

struct Stretch {
    ByteView code;
    std::uint64_t address = 0;                  // of code's first byte
    ByteView segment;                           // the executable bytes around it, where its calls may lead
    std::uint64_t segment_address = 0;
    std::span<const CodeRange> ranges;          // all within code, sorted
    std::span<const std::uint64_t> candidates;  // addresses of 0F A2 within code, sorted
    bool want_mapping_calls = false;
};

struct StretchResult {
    std::vector<Verdict> verdicts;              // one per candidate
    std::vector<std::uint64_t> mapping_calls;   // addresses of system calls that are certainly mmap or mprotect
    std::vector<CodeRange> believed;            // of `ranges`, those whose linear decode is believed, sorted
};

// `budget` is counted down by one per instruction decoded; at zero whatever is not proven yet stays undecided, so that
// a hostile file with many overlapping ranges costs no more than the budget allows.
[[nodiscard]] StretchResult analyse(Decoder& decoder, CodeMode mode, const Stretch& stretch, std::uint64_t& budget);

}  // namespace cpulevel::cpuid
