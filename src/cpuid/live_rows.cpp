#include "cpuid/live_rows.h"

#include <cstring>

#include "arch/x86_64.h"
#include "cpuid/flat_table.h"

namespace cpulevel::cpuid {

namespace {

constexpr std::size_t kWord = 4, kHeaderWords = 2, kRecordWords = 5;

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t index) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.subspan(index * kWord, kWord).data(), kWord);
    return word;
}

constexpr std::size_t words_for(std::size_t rows, std::size_t cpus) { return kHeaderWords + rows + rows * cpus * kRecordWords; }

}  // namespace

std::vector<std::byte> live_rows(std::span<const std::byte> table, const LiveAnswers& known) {
    const auto view = FlatTable::view(table);
    if (!view || known.empty() || known.rbegin()->first.first < 0) return {};
    const std::size_t cpus = static_cast<std::size_t>(known.rbegin()->first.first) + 1;

    // An entry that stands for many subleaves has no one answer.
    std::vector<std::uint32_t> entries;
    for (std::uint32_t i = 0; i < view->header().entry_count; ++i) {
        const FlatEntry entry = view->entry(i);
        if (entry.live == arch::CpuidRegisters{}) continue;
        if (entry.match == FlatEntry::kAnySubleaf && arch::x86_leaf_has_subleaves(entry.leaf)) continue;
        bool asked = false;
        for (std::size_t cpu = 0; cpu < cpus && !asked; ++cpu) {
            asked = known.contains({static_cast<int>(cpu), {entry.leaf, entry.subleaf}});
        }
        if (asked && words_for(entries.size() + 1, cpus) * kWord <= kMostLiveRows) entries.push_back(i);
    }
    if (entries.empty()) return {};

    std::vector<std::uint32_t> words(words_for(entries.size(), cpus));
    words[0] = static_cast<std::uint32_t>(entries.size());
    words[1] = static_cast<std::uint32_t>(cpus);
    for (std::size_t row = 0; row < entries.size(); ++row) {
        words[kHeaderWords + row] = static_cast<std::uint32_t>(sizeof(FlatHeader) + entries[row] * sizeof(FlatEntry));
        const FlatEntry entry = view->entry(entries[row]);
        for (std::size_t cpu = 0; cpu < cpus; ++cpu) {
            const auto answer = known.find({static_cast<int>(cpu), {entry.leaf, entry.subleaf}});
            if (answer == known.end()) continue;
            const std::size_t at = kHeaderWords + entries.size() + (row * cpus + cpu) * kRecordWords;
            words[at] = 1;
            words[at + 1] = answer->second.eax & entry.live.eax;
            words[at + 2] = answer->second.ebx & entry.live.ebx;
            words[at + 3] = answer->second.ecx & entry.live.ecx;
            words[at + 4] = answer->second.edx & entry.live.edx;
        }
    }
    const auto bytes = std::as_bytes(std::span(words));
    return {bytes.begin(), bytes.end()};
}

std::optional<arch::CpuidRegisters> live_answer(std::span<const std::byte> rows, std::uint32_t entry_offset, std::uint32_t cpu) {
    if (rows.size() < kHeaderWords * kWord) return std::nullopt;
    const std::size_t count = word_at(rows, 0), cpus = word_at(rows, 1);
    if (cpu >= cpus || rows.size() < words_for(count, cpus) * kWord) return std::nullopt;
    for (std::size_t row = count; row-- > 0;) {
        if (word_at(rows, kHeaderWords + row) != entry_offset) continue;
        const std::size_t at = kHeaderWords + count + (row * cpus + cpu) * kRecordWords;
        if (word_at(rows, at) == 0) return std::nullopt;
        return arch::CpuidRegisters{word_at(rows, at + 1), word_at(rows, at + 2), word_at(rows, at + 3), word_at(rows, at + 4)};
    }
    return std::nullopt;
}

}  // namespace cpulevel::cpuid
