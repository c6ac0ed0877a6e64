// Files in which there is no CPUID, for the stub of a loader's mmap (stub_area.h): mapped as code they need no stop.
// The list lies in the stub area behind the routine that reads it (lookup_routine.h), in this layout.
//
// The file is asked who it is by the very call that the loader itself makes for each library before it maps it: a
// seccomp filter that lets the loader work lets this pass. Whoever plans an area finds out which that is (file_call()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cpuid/file_identity.h"

namespace cpulevel::cpuid {

struct KnownFiles {
    static constexpr std::uint32_t kNoCall = 0, kFstat = 5, kNewfstatat = 262;  // system call numbers, x86-64
    static constexpr std::size_t kMost = 32;
    struct Header {
        std::uint32_t call = kNoCall;
        std::uint32_t count = 0;
    };
    std::uint32_t call = kNoCall;
    std::span<const FileIdentity> files;
};

// By which call a dynamic loader asks about a file: `code` is its text. kNoCall if that is not plain to see.
[[nodiscard]] std::uint32_t file_call(std::span<const std::byte> code);

}  // namespace cpulevel::cpuid
