// arm64: how long a program's vectors are. SVE and SME code asks the CPU (RDVL), not the auxiliary vector, and lays out
// data by the answer, so a level of machines with different lengths promises the smallest (rule MIN).
//
// The kernel keeps a length for each thread. Set with PR_SVE_VL_INHERIT it holds through fork and exec, so that it is set
// once, in the process that becomes the program (Documentation/arch/arm64/sve.rst, section 5). A program may set
// another length for itself; that is its own wish, and the vectors that it asked for.
#pragma once

#include <cstdint>
#include <optional>

#include "level/level.h"

namespace cpulevel::engine::ptrace {

struct VectorLengths {
    std::optional<std::uint32_t> sve, sme;  // bytes
};

// Of a level that shows SVE or SME.
[[nodiscard]] VectorLengths vector_lengths(const level::Level& level);

// For the calling thread and all that it becomes and starts. 0, or errno; ERANGE where the machine has no such length
// (it would take a shorter one, which no machine of the level has shown).
[[nodiscard]] int set_vector_lengths(const VectorLengths& lengths);

}  // namespace cpulevel::engine::ptrace
