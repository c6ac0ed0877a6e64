#include "inherit/aux_vector.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace cpulevel::inherit {

namespace {

std::uint64_t load(const std::byte* from, WordSize size) {
    if (size == WordSize::bits32) {
        std::uint32_t word = 0;
        std::memcpy(&word, from, sizeof word);
        return word;
    }
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

void store(std::byte* to, std::uint64_t value, WordSize size) {
    if (size == WordSize::bits32) {
        const auto word = static_cast<std::uint32_t>(value);
        std::memcpy(to, &word, sizeof word);
    } else {
        std::memcpy(to, &value, sizeof value);
    }
}

}  // namespace

Result<AuxVector> AuxVector::parse(std::span<const std::byte> blob, WordSize size) {
    const auto word = static_cast<std::size_t>(size);
    std::vector<AuxEntry> entries;
    for (std::size_t at = 0; at < blob.size(); at += 2 * word) {
        if (blob.size() - at < 2 * word) {
            return usage_error("cannot read the auxiliary vector", fmt::format("offset {}", at),
                               fmt::format("it ends inside an entry: {} bytes are left, an entry has {}",
                                           blob.size() - at, 2 * word));
        }
        const AuxEntry entry{load(&blob[at], size), load(&blob[at + word], size)};
        if (entry.type == kAtNull) break;
        entries.push_back(entry);
    }
    return AuxVector(size, std::move(entries));
}

std::vector<std::byte> AuxVector::serialize() const {
    const auto word = static_cast<std::size_t>(size_);
    std::vector<std::byte> blob(2 * word * (entries_.size() + 1));  // zeroed, so the last pair is AT_NULL
    std::byte* to = blob.data();
    for (const AuxEntry& entry : entries_) {
        store(to, entry.type, size_);
        store(to + word, entry.value, size_);
        to += 2 * word;
    }
    return blob;
}

std::optional<std::uint64_t> AuxVector::find(std::uint64_t type) const {
    const auto at = std::ranges::find(entries_, type, &AuxEntry::type);
    if (at == entries_.end()) return std::nullopt;
    return at->value;
}

bool AuxVector::replace(std::uint64_t type, std::uint64_t value) {
    const auto at = std::ranges::find(entries_, type, &AuxEntry::type);
    if (at == entries_.end()) return false;
    at->value = size_ == WordSize::bits32 ? static_cast<std::uint32_t>(value) : value;
    return true;
}

}  // namespace cpulevel::inherit
