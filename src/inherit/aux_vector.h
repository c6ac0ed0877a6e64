// The auxiliary vector: what execve() tells a program about machine and process (getauxval(3), <linux/auxvec.h>).
// On the stack and in /proc/PID/auxv it is a list of (type, value) pairs of the program's word size, closed by
// AT_NULL. Byte order is the machine's own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "util/error.h"

namespace cpulevel::inherit {

enum class WordSize : std::uint8_t { bits32 = 4, bits64 = 8 };  // the value is the size in bytes

// Types from <linux/auxvec.h>, named here so that foreign architectures' files can be handled anywhere.
inline constexpr std::uint64_t kAtNull = 0, kAtPageSize = 6, kAtPlatform = 15, kAtHwcap = 16, kAtSecure = 23,
                               kAtBasePlatform = 24, kAtHwcap2 = 26, kAtHwcap3 = 29, kAtHwcap4 = 30,
                               kAtMinimumSignalStack = 51;
inline constexpr std::array<std::uint64_t, 4> kHwcapTypes{kAtHwcap, kAtHwcap2, kAtHwcap3, kAtHwcap4};

struct AuxEntry {
    std::uint64_t type = 0;
    std::uint64_t value = 0;
    friend bool operator==(const AuxEntry&, const AuxEntry&) = default;
};

class AuxVector {
   public:
    AuxVector() = default;
    AuxVector(WordSize size, std::vector<AuxEntry> entries) : size_(size), entries_(std::move(entries)) {}

    // Parses up to AT_NULL (not kept as an entry); bytes after it are ignored. A blob without AT_NULL is read to
    // its end, as the kernel does with a saved vector; a blob that ends inside an entry is an error.
    [[nodiscard]] static Result<AuxVector> parse(std::span<const std::byte> blob, WordSize size);
    // The pairs and a closing AT_NULL pair.
    [[nodiscard]] std::vector<std::byte> serialize() const;

    [[nodiscard]] WordSize word_size() const { return size_; }
    [[nodiscard]] std::span<const AuxEntry> entries() const { return entries_; }
    [[nodiscard]] std::optional<std::uint64_t> find(std::uint64_t type) const;  // the first of that type
    // Changes the first entry of that type; false if there is none (never adds: the stack has no room).
    bool replace(std::uint64_t type, std::uint64_t value);
    friend bool operator==(const AuxVector&, const AuxVector&) = default;

   private:
    WordSize size_ = WordSize::bits64;
    std::vector<AuxEntry> entries_;
};

}  // namespace cpulevel::inherit
