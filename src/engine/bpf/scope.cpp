#include "engine/bpf/scope.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

namespace cpulevel::engine::bpf {

namespace {

// Cut off where it is too long; always ends in NUL.
void put(std::span<char> field, std::string_view text) {
    const std::size_t length = std::min(text.size(), field.size() - 1);
    std::memcpy(field.data(), text.data(), length);
}

}  // namespace

cpulevel_scope make_scope(const ScopeOptions& options) {
    cpulevel_scope scope{};
    if (options.strict) scope.flags = CPULEVEL_STRICT;
    scope.attached_at = options.attached_at;
    put(scope.target, options.target);
    if (options.level == nullptr) return scope;
    put(scope.level, options.level->name);
    for (std::size_t word = 0; word < CPULEVEL_WORDS; ++word) {
        if (!options.level->hwcap[word]) continue;
        scope.mask[word] = *options.level->hwcap[word];
        scope.present |= 1U << word;
    }
    scope.minimum_signal_stack = options.level->minimum_signal_stack.value_or(0);
    return scope;
}

inherit::Imposed imposed_by_all(arch::Architecture architecture, std::initializer_list<cpulevel_scope> scopes) {
    inherit::HwcapWords words;
    std::optional<std::uint64_t> signal_stack;
    for (const cpulevel_scope& scope : scopes) {
        for (std::size_t word = 0; word < words.size(); ++word) {
            if ((scope.present >> word & 1U) != 0) words[word] = words[word].value_or(~std::uint64_t{0}) & scope.mask[word];
        }
        if (scope.minimum_signal_stack != 0) {
            signal_stack = std::max(signal_stack.value_or(0), std::uint64_t{scope.minimum_signal_stack});
        }
    }
    return inherit::imposed_by(architecture, words, signal_stack);
}

std::array<std::uint64_t, CPULEVEL_WORDS> security_words(arch::Architecture architecture) {
    const arch::FeatureTable& table = arch::table(architecture);
    arch::FeatureSet security;
    for (std::uint16_t id = 0; id < table.features().size(); ++id) {
        if (table.features()[id].security) security.insert({id});
    }
    std::array<std::uint64_t, CPULEVEL_WORDS> words{};
    for (std::uint8_t word = 0; word < words.size(); ++word) words[word] = table.to_hwcap(security, word);
    return words;
}

}  // namespace cpulevel::engine::bpf
