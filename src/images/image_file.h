// The frame of CRIU's image files: one or two magic numbers (32 bits, little-endian), then messages, each after its
// length (32 bits). Source: criu.org, "Images"; criu/include/magic.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::images {

inline constexpr std::uint32_t kInventoryMagic = 0x58313116, kTreeMagic = 0x50273030, kCoreMagic = 0x55053847,
                               kMemoryMagic = 0x57492820, kFilesMagic = 0x56303138, kRegularFilesMagic = 0x50363636,
                               kPageMapMagic = 0x56084025, kCpuInfoMagic = 0x61404013;

// The messages of a file of the kind that `magic` says; views into `file`. Errors (usage) name the byte.
[[nodiscard]] Result<std::vector<std::string_view>> messages_of(std::string_view file, std::uint32_t magic,
                                                                const std::string& path);

}  // namespace cpulevel::images
