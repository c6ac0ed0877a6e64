// Recognises a CPUID instruction from the bytes at an instruction pointer. Pure.
//
// Sources: Intel SDM volume 2, 2.1 (prefixes, REX) and CPUID; an instruction of more than 15 bytes raises #GP, and a
// LOCK prefix (F0) on CPUID raises #UD, so neither is a CPUID instruction.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace cpulevel::cpuid {

struct CpuidInstruction {
    unsigned length = 0;         // bytes of the whole instruction, prefixes included: 2 to 15
    unsigned opcode_offset = 0;  // of the 0F byte: the count of prefix bytes
};

// 40 to 4F are REX prefixes in 64-bit code and INC/DEC instructions in 32-bit and 16-bit code.
enum class CodeMode { bits64, bits32 };

inline constexpr unsigned kMaximumInstructionLength = 15;  // bytes

// `bytes_at_rip` may be longer than the instruction; if it ends before the opcode does, there is no answer.
[[nodiscard]] std::optional<CpuidInstruction> recognise_cpuid(std::span<const std::byte> bytes_at_rip,
                                                              CodeMode mode = CodeMode::bits64);

// The bytes before the opcode, as the CPU reads them.
struct Prefixes {
    unsigned count = 0;         // all prefix bytes, REX included
    bool operand_size = false;  // 66
    bool address_size = false;  // 67
    bool lock = false;          // F0
    bool repeat = false;        // F2 or F3
    bool rex_w = false;         // a REX prefix that counts (directly before the opcode) with W set
    bool idle_rex = false;      // a REX prefix that the CPU ignores, because another prefix follows it
};

[[nodiscard]] Prefixes read_prefixes(std::span<const std::byte> bytes, CodeMode mode);

}  // namespace cpulevel::cpuid
