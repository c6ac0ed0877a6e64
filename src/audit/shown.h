// What a process was shown of the CPU, read from what it keeps: glibc's own record (struct cpu_features, made by CPUID
// when ld.so started), and the table of answers that cpulevel's stubs look into. Pure: from bytes to features.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/cpuid_dump.h"
#include "arch/feature.h"
#include "audit/snapshot.h"

namespace cpulevel::audit {

// glibc 2.33 and later, x86-64.
struct GlibcRecord {
    arch::CpuidDump cpuid;   // the leaves that it keeps, as CPUID answered
    arch::CpuidDump active;  // of these, the bits that glibc found usable
    // Bytes that the lazy resolver reserves for the XSAVE area, a pad of 64 included; 0: it uses FXSAVE. Absent: not
    // found at its place.
    std::optional<std::uint64_t> resolver_buffer;
    [[nodiscard]] bool uses_xsavec() const;
};
inline constexpr std::uint64_t kResolverPad = 64;
// The components that the resolver saves (glibc sysdeps/x86/sysdep.h, STATE_SAVE_MASK): SSE, AVX, MPX, AVX-512.
inline constexpr std::uint64_t kResolverComponents = 0xEE;

// The record is found by what it must be: it begins with kind, maximum leaf, family, model and stepping, and the answer
// of leaf 1 that follows encodes the same family, model and stepping.
[[nodiscard]] std::optional<GlibcRecord> find_glibc_record(std::span<const std::byte> data);

struct Shown {
    arch::FeatureSet features;
    arch::FeatureSet described;      // features on which the sources have a word
    std::vector<std::string> sources;  // "glibc's record", "the table of cpulevel's stubs", "AT_HWCAP"
    bool cpuid_known = false;        // x86: more than the auxiliary vector tells is known
    std::optional<GlibcRecord> glibc;
};
[[nodiscard]] Shown what_was_shown(const Snapshot& process);

}  // namespace cpulevel::audit
