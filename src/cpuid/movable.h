// Which instructions do the same at another address. A list of what may move, not of what may not: what is not known
// here stays where it is. Pure.
//
// Source: Intel SDM volume 2, appendix A (opcode maps) and 2.2.1.6 (RIP-relative addressing).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace cpulevel::cpuid {

struct Movable {
    std::optional<unsigned> rip_displacement;  // offset of the four bytes that are relative to the instruction's end
};

// `instruction` is exactly one instruction of 64-bit code, as long as the decoder says; nothing if it must not be
// moved, or if its length by our own reading is another.
[[nodiscard]] std::optional<Movable> movable(std::span<const std::byte> instruction);

}  // namespace cpulevel::cpuid
