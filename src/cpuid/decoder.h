// Instruction boundaries and control flow of x86 code, by Capstone's decoder (docs/decisions/004-decoder.md). Most lengths come from
// a table that is proven to hold Capstone's answers (plain_length.h).
//
// The site finder overwrites program bytes on this decoder's word, so it answers nothing rather than a guess: what
// Capstone does not know, what it is known to measure wrongly, and what Intel and AMD decode differently is
// undecodable here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "cpuid/instruction.h"
#include "util/error.h"

namespace cpulevel::cpuid {

enum class Flow : std::uint8_t {
    next,         // goes on behind itself
    call,         // goes to target (if direct) and, when that returns, on behind itself
    conditional,  // goes to target or on behind itself
    jump,         // goes to target (if direct) only
    stop,         // return, trap, halt: nothing follows
};

struct Instruction {
    unsigned length = 0;     // bytes, prefixes included
    unsigned opcode_at = 0;  // behind the prefixes
    Flow flow = Flow::next;
    std::optional<std::uint64_t> target;      // of a direct branch or call
    std::optional<unsigned> cpuid_opcode;     // offset of 0F, if this is a CPUID instruction
    bool system_call = false;                 // SYSCALL in 64-bit code, INT 0x80 in 32-bit code
    std::optional<std::uint32_t> loads_eax;   // MOV EAX, imm32 (or MOV RAX, simm32 not negative)
};

class Decoder {
   public:
    [[nodiscard]] static Result<Decoder> open(CodeMode mode);

    // The instruction at the start of `bytes`, which stands at `address`; nothing if it is not certainly one.
    [[nodiscard]] std::optional<Instruction> decode(std::span<const std::byte> bytes, std::uint64_t address);

    // The same answer, always from Capstone itself: for what will be overwritten. Some ten times as slow.
    [[nodiscard]] std::optional<Instruction> decode_surely(std::span<const std::byte> bytes, std::uint64_t address);

    // Whether the instruction may write any part of RAX. Slower: asks for operands.
    [[nodiscard]] bool writes_eax(std::span<const std::byte> bytes, std::uint64_t address);

   private:
    [[nodiscard]] std::optional<Instruction> describe(std::span<const std::byte> whole, const Prefixes& prefixes,
                                                      std::uint64_t address) const;
    struct Engine;
    struct Close {
        void operator()(Engine* engine) const;
    };
    explicit Decoder(CodeMode mode, std::unique_ptr<Engine, Close> engine);

    CodeMode mode_;
    std::unique_ptr<Engine, Close> engine_;
};

}  // namespace cpulevel::cpuid
