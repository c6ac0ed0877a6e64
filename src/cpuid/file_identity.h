// What a file is, as stat(2) tells it: another file, or another content, has another identity. The layout is that of
// the list in a stub area (known_files.h).
#pragma once

#include <compare>
#include <cstdint>

namespace cpulevel::cpuid {

struct FileIdentity {
    std::uint64_t device = 0, inode = 0, size = 0;  // size in bytes
    std::int64_t seconds = 0, nanoseconds = 0;      // of the last change of its content
    friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

}  // namespace cpulevel::cpuid
