// The lengths of the instructions that most code consists of, from one small table.
//
// Capstone needs 200 ns for an instruction, much of it to write down its text, and the site finder asks for millions of lengths.
// So the decoder asks here first. This is no second opinion but a faster way to Capstone's: whatever is answered here is what
// Capstone answers, and whatever is not plain is left to it. Left to it on purpose, too: CPUID and system calls, so
// that no site rests on this table (nor does what a patch moves: Decoder::decode_surely).
//
// Why the answers are the same: a length depends on the prefixes, the opcode, ModRM and SIB only, displacements and immediates
// are skipped by both, and tests/unit/cpuid/plain_length_test.cpp asks both for every combination of the former that
// has an answer here.
// Sources of the table: the opcode maps of the Intel SDM, volume 2, appendix A, and 2.1.5 (ModRM and SIB).
#pragma once

#include <cstddef>
#include <span>

#include "cpuid/instruction.h"

namespace cpulevel::cpuid {

// Of the instruction at the start of `bytes`, whose prefixes are read_prefixes(bytes, ...); 0: not a plain one, or not all of it
// is there.
[[nodiscard]] unsigned plain_length(std::span<const std::byte> bytes, const Prefixes& prefixes);

}  // namespace cpulevel::cpuid
