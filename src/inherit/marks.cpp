#include "inherit/marks.h"

#include <algorithm>

namespace cpulevel::inherit {

namespace {

constexpr std::uint64_t kAllBits = ~std::uint64_t{0};

std::uint64_t bits_of(WordSize size) { return size == WordSize::bits32 ? 0xffffffffU : kAllBits; }

std::optional<std::size_t> hwcap_index(std::uint64_t type) {
    const auto at = std::ranges::find(kHwcapTypes, type);
    if (at == kHwcapTypes.end()) return std::nullopt;
    return static_cast<std::size_t>(at - kHwcapTypes.begin());
}

// The words of a family, or none: an absent word neither hides nor keeps anything.
HwcapWords words_of(const std::map<AbiFamily, HwcapWords>& words, AbiFamily abi) {
    const auto at = words.find(abi);
    return at == words.end() ? HwcapWords{} : at->second;
}

}  // namespace

AbiFamily abi_family(arch::Architecture architecture, WordSize size) {
    const bool wide = size == WordSize::bits64;
    switch (architecture) {
        case arch::Architecture::x86_64: return AbiFamily::x86;
        case arch::Architecture::aarch64: return wide ? AbiFamily::aarch64 : AbiFamily::arm32;
        case arch::Architecture::riscv64: return wide ? AbiFamily::riscv64 : AbiFamily::riscv32;
        case arch::Architecture::ppc64le: return wide ? AbiFamily::ppc64 : AbiFamily::ppc32;
        case arch::Architecture::s390x: return wide ? AbiFamily::s390x : AbiFamily::s390;
        case arch::Architecture::loongarch64: return AbiFamily::loongarch64;
    }
    return AbiFamily::x86;
}

Imposed imposed_by(arch::Architecture architecture, const HwcapWords& words,
                   std::optional<std::uint64_t> minimum_signal_stack) {
    return {.masks = {{abi_family(architecture, WordSize::bits64), words}},
            .minimum_signal_stack = minimum_signal_stack};
}

Marks after_prctl(const Marks& before, AbiFamily abi, const AuxVector& saved) {
    HwcapWords words;
    for (std::size_t word = 0; word < words.size(); ++word) words[word] = saved.find(kHwcapTypes[word]);
    Marks after = before;
    after.values[abi] = words;
    after.outranked.erase(abi);
    return after;
}

ExecOutcome after_exec(const Marks& before, const ExecFacts& facts, const Imposed& imposed) {
    ExecOutcome outcome{.marks = before, .edits = {}};
    Marks& after = outcome.marks;
    if (facts.secure) {
        for (const auto& [abi, words] : before.values) after.outranked.insert(abi);
    }
    const bool keeps_security = after.outranked.contains(facts.abi);
    const HwcapWords saved = words_of(before.values, facts.abi);
    const HwcapWords level = words_of(imposed.masks, facts.abi);

    std::set<std::uint64_t> seen;  // an edit of a type changes its first entry
    for (const auto& [type, own] : facts.machine.entries()) {
        if (!seen.insert(type).second) continue;
        std::uint64_t shown = own;
        if (const auto word = hwcap_index(type)) {
            if (saved[*word]) {
                const std::uint64_t exempt = keeps_security ? facts.security_bits[*word].value_or(0) : 0;
                shown &= *saved[*word] | exempt;
                // The next exec inherits from the vector of this one, as in the kernel: what this machine lacks stays
                // away. A 32-bit program says nothing about the upper half that its family's 64-bit programs have.
                after.values[facts.abi][*word] = *saved[*word] & (own | ~bits_of(facts.machine.word_size()));
            }
            shown &= level[*word].value_or(kAllBits);
        } else if (type == kAtMinimumSignalStack) {
            shown = std::max(shown, imposed.minimum_signal_stack.value_or(0) & bits_of(facts.machine.word_size()));
        }
        if (shown != own) outcome.edits.push_back({type, shown});
    }
    return outcome;
}

}  // namespace cpulevel::inherit
