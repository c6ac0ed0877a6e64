// LIVE fields from memory: what each CPU answered when it was asked, so that a stub need not execute CPUID for them.
//
// Where CPUID faults, each LIVE leaf that a program asks costs a stop: a glibc program does that many times before main
// (leaf 1, and on Intel each subleaf of 4 and 0xB). The answers belong to a CPU and do not change, so an area has, for each
// entry of its table, what each CPU has answered; a stub finds out which CPU it is on (the limit of
// segment 0x7b, as the vdso's getcpu does: arch/x86/include/asm/segment.h, __CPUNODE_SEG), and what is not known is asked.
//
// Only while somebody is attached: released, a process may move to other CPUs, and its stubs execute CPUID again, which does
// not fault then (FlatHeader::live_at becomes 0).
//
// Layout, words of 32 bits, from FlatHeader::live_at on:
//
//   rows, cpus, then for each row the offset of its entry from the header, then rows * cpus records of
//   known (0 or 1), EAX, EBX, ECX, EDX
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "arch/cpuid_dump.h"

namespace cpulevel::cpuid {

// What CPUs answer, by the kernel's number of the CPU.
using LiveAnswers = std::map<std::pair<int, arch::CpuidKey>, arch::CpuidRegisters>;

// `table`: flatten()'s. Empty if nothing of it is known, or nothing fits into kMostLiveRows.
[[nodiscard]] std::vector<std::byte> live_rows(std::span<const std::byte> table, const LiveAnswers& known);

inline constexpr std::size_t kMostLiveRows = 16U << 10U;  // bytes, which each program that starts gets a copy of

// What the rows say for the entry at this offset, in C++; the lookup routine is this in assembly.
[[nodiscard]] std::optional<arch::CpuidRegisters> live_answer(std::span<const std::byte> rows, std::uint32_t entry_offset,
                                                              std::uint32_t cpu);

}  // namespace cpulevel::cpuid
