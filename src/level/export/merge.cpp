#include "level/export/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

namespace {

std::string append(std::string_view theirs, char separator, std::string_view ours) {
    if (theirs.empty()) return std::string(ours);
    return fmt::format("{}{}{}", theirs, separator, ours);
}

// NAME=VALUE[:NAME=VALUE]. glibc takes the last value of a name, so lists of names become one, theirs first; glibc reads
// them from left to right.
Merged merge_tunables(std::string_view ours, std::string_view theirs) {
    std::vector<std::string> settings;
    if (!theirs.empty()) {
        for (const std::string_view one : split(theirs, ':')) settings.emplace_back(one);
    }
    Merged merged;
    for (const std::string_view setting : split(ours, ':')) {
        const std::string_view name = setting.substr(0, setting.find('=') + 1);
        const auto last = std::ranges::find_if(settings.rbegin(), settings.rend(),
                                               [&](const std::string& one) { return one.starts_with(name); });
        if (last == settings.rend()) {
            settings.emplace_back(setting);
        } else if (name.ends_with(".hwcaps=")) {
            *last = last->size() == name.size() ? std::string(setting) : append(*last, ',', setting.substr(name.size()));
        } else if (*last != setting) {
            merged.note = fmt::format("GLIBC_TUNABLES: {} gives way to {}", printable(*last), setting);
            *last = setting;
        }
    }
    merged.value = join(settings, ":");
    return merged;
}

struct CapabilityWord {
    bool mask = true;         // "~": bits to clear; else the value itself
    std::uint64_t bits = 0;
};

// OpenSSL reads digits until something else comes. An empty word is "as the CPU says".
std::optional<CapabilityWord> parse_word(std::string_view text) {
    CapabilityWord word;
    if (text.empty()) return word;
    word.mask = text.starts_with('~');
    if (word.mask) text.remove_prefix(1);
    const bool octal = text.size() > 1 && text.front() == '0' && text[1] != 'x' && text[1] != 'X';
    const auto bits = octal ? std::nullopt : parse_number(text);
    if (!bits) return std::nullopt;
    word.bits = *bits;
    return word;
}

// What both let through. Words that only one side has: OpenSSL clears the second word where there is none, so theirs is 0
// there; further ones are as the CPU says.
std::optional<std::string> merge_capabilities(std::string_view ours, std::string_view theirs) {
    const auto our_words = split(ours, ':');
    const auto their_words = split(theirs, ':');
    std::vector<std::string> words;
    for (std::size_t i = 0; i < std::max(our_words.size(), their_words.size()); ++i) {
        const bool given = i < their_words.size();
        const auto a = parse_word(i < our_words.size() ? our_words[i] : "");
        auto b = parse_word(given ? their_words[i] : "");
        if (!a || !b) return std::nullopt;
        if (!given && i == 1) *b = {.mask = false, .bits = 0};
        if (a->mask && b->mask) {
            words.push_back(fmt::format("~{:#x}", a->bits | b->bits));
        } else {
            const auto let_through = [](const CapabilityWord& word) { return word.mask ? ~word.bits : word.bits; };
            words.push_back(fmt::format("{:#x}", let_through(*a) & let_through(*b)));
        }
    }
    return join(words, ":");
}

Merged merge_openssl(const Setting& ours, std::string_view theirs) {
    if (theirs.empty()) return {ours.value, {}};
    if (auto merged = merge_capabilities(ours.value, theirs)) return {*std::move(merged), {}};
    return {ours.value, fmt::format("{}: {} is not understood and gives way", ours.name, printable(theirs))};
}

// Of two options of the JVM the later counts: a ceiling of theirs that is lower than ours is left to be the last word.
Merged merge_java(std::string_view ours, std::string_view theirs) {
    std::vector<std::string> words;
    for (const std::string_view word : split(ours, ' ')) {
        const auto equals = word.find('=');
        const auto limit = equals == std::string_view::npos ? std::nullopt : parse_decimal(word.substr(equals + 1));
        std::optional<std::uint64_t> their_limit;
        if (limit) {
            for (const std::string_view their : split(theirs, ' ')) {
                if (their.starts_with(word.substr(0, equals + 1))) their_limit = parse_decimal(their.substr(equals + 1));
            }
        }
        if (!their_limit || *their_limit > *limit) words.emplace_back(word);
    }
    return {append(theirs, ' ', join(words, " ")), {}};
}

// One word of a list: theirs stays where it uses nothing hidden.
Merged merge_choice(const Setting& ours, std::string_view theirs, std::string_view tool, const Level& level,
                    const ExportOptions& options) {
    if (theirs.empty() || theirs == ours.value) return {ours.value, {}};
    if (const auto view = ToolView::open(tool, level, options)) {
        for (const ToolEntry* entry : view->entries(EntryKind::choice)) {
            if (lower(entry->name) == lower(theirs) && view->shown(*entry)) return {std::string(theirs), {}};
        }
    }
    return {ours.value, fmt::format("{}: {} may use more than the level shows and gives way to {}", ours.name, printable(theirs),
                                    ours.value)};
}

}  // namespace

Merged merge(const Setting& ours, std::string_view theirs, const Level& level, const ExportOptions& options) {
    if (ours.name == "GLIBC_TUNABLES") return merge_tunables(ours.value, theirs);
    if (ours.name == "OPENSSL_ia32cap" || ours.name == "OPENSSL_armcap") return merge_openssl(ours, theirs);
    if (ours.name == "JAVA_TOOL_OPTIONS") return merge_java(ours.value, theirs);
    if (ours.separator != 0) return {append(theirs, ours.separator, ours.value), {}};  // the later counts, or all do
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> choices = {
        {{"OPENBLAS_CORETYPE", "openblas"}, {"MKL_ENABLE_INSTRUCTIONS", "mkl"}, {"ONEDNN_MAX_CPU_ISA", "onednn"}}};
    for (const auto& [variable, tool] : choices) {
        if (ours.name == variable) return merge_choice(ours, theirs, tool, level, options);
    }
    return {ours.value, {}};
}

}  // namespace cpulevel::level
