// The rules of HWCAP inheritance (docs/inheritance.md, rules 1 to 10) as values in, values out.
//
// The kernel keeps one saved auxiliary vector per memory image (mm). A mark says that a process replaced it by
// prctl; from then on every program started from that image gets `saved & machine's own` for each HWCAP word that
// the saved vector has. What differs from the kernel series: values are kept per ABI (rule 9), a missing word keeps
// the machine's value (rule 5), and a mark never hides a security feature from an AT_SECURE program (rule 10).
//
// No system call here, no ptrace: engines translate what they see into these calls and carry out the edits.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "arch/feature.h"
#include "inherit/aux_vector.h"

namespace cpulevel::inherit {

// ABIs between which HWCAP bits mean different things are different families. i386, x86-64 and x32 share one.
enum class AbiFamily : std::uint8_t { x86, aarch64, arm32, ppc64, ppc32, s390x, s390, riscv64, riscv32, loongarch64 };

// What a program of the given word size is on a machine of the architecture (x32 programs have 32-bit words too).
[[nodiscard]] AbiFamily abi_family(arch::Architecture architecture, WordSize size);

using HwcapWords = std::array<std::optional<std::uint64_t>, 4>;  // AT_HWCAP .. AT_HWCAP4; absent: not there

// The marks of one memory image. Value type: copied by fork, shared by CLONE_VM, replaced by exec.
struct Marks {
    std::map<AbiFamily, HwcapWords> values;  // for each family that has been marked
    // Families whose values were set before an AT_SECURE program ran: they hide no security feature any more, from
    // that program or from what it starts (rule 10).
    std::set<AbiFamily> outranked;
    [[nodiscard]] bool marked() const { return !values.empty(); }
    friend bool operator==(const Marks&, const Marks&) = default;
};

// What an administrator's level imposes on every program, marked or not. Absent fields impose nothing.
struct Imposed {
    std::map<AbiFamily, HwcapWords> masks;                // ANDed with the machine's words
    std::optional<std::uint64_t> minimum_signal_stack;    // AT_MINSIGSTKSZ becomes at least this (MAX rule)
};

// A level of the architecture, from its words (level::Level::hwcap and minimum_signal_stack). They speak of the
// architecture's own ABI; on a family of another meaning (AArch32 on arm64) they impose nothing.
[[nodiscard]] Imposed imposed_by(arch::Architecture architecture, const HwcapWords& words,
                                 std::optional<std::uint64_t> minimum_signal_stack);

struct ExecFacts {
    AbiFamily abi = AbiFamily::x86;
    AuxVector machine;    // the vector that the kernel built for the new program
    bool secure = false;  // AT_SECURE of the new program
    HwcapWords security_bits;  // bits of this ABI's words that are security features (arch tables)
};

struct AuxEdit {
    std::uint64_t type = 0;
    std::uint64_t value = 0;
    friend bool operator==(const AuxEdit&, const AuxEdit&) = default;
};

struct ExecOutcome {
    Marks marks;                 // of the new image
    std::vector<AuxEdit> edits;  // entries whose value changes, in the vector's order; each type once
};

// Rule 1: a successful PR_SET_MM_AUXV or PR_SET_MM_MAP with a vector.
[[nodiscard]] Marks after_prctl(const Marks& before, AbiFamily abi, const AuxVector& saved);
// Rules 3 to 6, 9, 10, and the level on top.
[[nodiscard]] ExecOutcome after_exec(const Marks& before, const ExecFacts& facts, const Imposed& imposed);

}  // namespace cpulevel::inherit
