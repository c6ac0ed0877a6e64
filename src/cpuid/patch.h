// A certain CPUID instruction (site_finder.h) that can be replaced by a jump to a stub of ours, so that the level
// answers from the process's own memory: no trap, no signal, no tracer.
//
// A jump takes five bytes and CPUID two, so the instructions behind it move into the stub; or, where something arrives there,
// those before it (mostly `mov $leaf, %eax`). That is right only if
// nothing else can arrive at what was moved, and if it does the same at another address. What has to be proved for a
// patch, once, when the file is examined:
//   - the site is an instruction (SiteScan::sites), and so is each moved one, to its end;
//   - no direct branch of the function, and no other anchor (function start, landing pad, Go or unwind entry), leads to a
//     byte of [start + 1, start + length); nor does the table of a switch (patch_finder.h), and a function with an
//     indirect jump of another kind has no patch;
//   - no moved instruction is a branch, call, return, system call, trap, or CPUID, or uses RIP otherwise than by a
//     32-bit displacement of a memory operand, which the stub adjusts.
//
// A breakpoint must not come between either. Debuggers cannot be there (a tracer is), but a uprobe of perf or bpftrace can: the
// kernel puts an INT3 there, runs the instruction that the *file* has at that place, and goes on behind it. Nearly
// all are at functions' first instructions: so a patch does not begin with one that is shorter than the jump. (A probe in the
// middle of a patch, which somebody sets while the program runs, breaks that program; docs/levelling.md says so.)
//
// A loader's SYSCALL (SiteScan::mmap_calls) is a site by the same proof: it has two bytes as well, and done in a stub it does
// the same. Only RCX, into which it puts its own address, differs; that is for the kernel's use by the ABI.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace cpulevel::cpuid {

struct SitePatch {
    static constexpr std::size_t kJumpLength = 5;    // E9 and a 32-bit displacement
    static constexpr std::size_t kSiteLength = 2;
    static constexpr std::size_t kMostLength = 20;   // CPUID, and moved instructions of up to 15 bytes in the worst case
    static constexpr std::size_t kMostOperands = 3;

    // A 32-bit displacement relative to the end of its instruction; both offsets are from the first replaced byte.
    struct RipOperand {
        std::uint8_t displacement = 0;
        std::uint8_t instruction_end = 0;
        friend bool operator==(const RipOperand&, const RipOperand&) = default;
    };

    std::uint64_t file_offset = 0;  // of the first byte that the jump replaces
    std::uint8_t length = 0;        // bytes of the site and the moved instructions: kJumpLength to kMostLength
    std::uint8_t site = 0;          // where in these the site is (0F; one with prefixes has no patch): 0 unless moved ones lead to it
    std::uint8_t operand_count = 0;
    std::array<RipOperand, kMostOperands> operands{};
    std::array<std::byte, kMostLength> original{};  // the `length` bytes as the file has them
    [[nodiscard]] std::uint64_t site_offset() const { return file_offset + site; }  // in the file
};

// Where a jump (E9 and its displacement) at `address` leads. `jump`: kJumpLength bytes, or more.
[[nodiscard]] inline std::uint64_t jump_target(std::span<const std::byte> jump, std::uint64_t address) {
    std::int32_t distance = 0;
    std::memcpy(&distance, &jump[1], sizeof distance);
    return address + SitePatch::kJumpLength + static_cast<std::uint64_t>(std::int64_t{distance});
}

// Why a site has no patch.
enum class PatchRefusal : std::uint8_t {
    prefixes,        // not the two bytes 0F A2 alone
    undecoded,       // a function around it has no believed decode (range_analysis.h), or is too much to examine
    immovable,       // an instruction that would have to move is not one that may (movable.h), or the function ends
    branch_target,   // a branch, perhaps, or the address of a label leads to what would move
    anchor,          // so does a function's start, a symbol, a pointer in the file, or a relocation
    indirect_jump,   // the function jumps through a register, not by a switch's table: perhaps to what would move
};

struct Unpatched {
    std::uint64_t file_offset = 0;  // of the CPUID's 0F byte
    PatchRefusal reason = PatchRefusal::undecoded;
    friend bool operator==(const Unpatched&, const Unpatched&) = default;
};

}  // namespace cpulevel::cpuid
