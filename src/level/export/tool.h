// What other tools call CPU features: the facts of data/exports (schema: data/schema/tool.schema.json), as constexpr
// tables that a generator makes at build. An exporter is the shape of a tool's text; the names in it are from here.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "arch/feature.h"

namespace cpulevel::level {

// Of a tool, as far as it decides which names it knows. All zero: none is meant.
struct Version {
    std::uint16_t major = 0, minor = 0, patch = 0;
    friend auto operator<=>(const Version&, const Version&) = default;
};

[[nodiscard]] std::optional<Version> parse_version(std::string_view text);  // "2.36", "21", "1.24.2"
[[nodiscard]] std::string to_text(Version version);

enum class EntryKind : std::uint8_t {
    off,             // naming it hides the features
    show,            // naming it shows them; it needs all of them
    choice,          // one of a list, best first; the tool then uses the features
    base,            // a model that has exactly these features
    floor,           // used whatever the tool is told
    uses,            // looked at by the tool, without a name
    bit,             // a bit of a word that means these features, all of them
    cpuid_register,  // half a word is this CPUID register
    keep,            // a bit of the tool's own in such a word
    setting,         // the name of a setting that takes a list of names
    value,           // a whole setting that hides the features
    kernel,          // shown to a guest whatever the level is: its kernel needs them
    ambient,         // neither shown nor hidden by the tool
    unpublished,     // a name that the tool has and does not use unless it is configured to
};

struct ToolEntry {
    EntryKind kind = EntryKind::off;
    std::string_view name;
    std::span<const arch::FeatureId> features;
    Version since, until;     // the first and the last version that have it; none: all
    std::uint8_t group = 0;   // choices of one group exclude each other
    bool floor = false;       // the least that the tool can be told
    std::uint8_t word = 0;
    std::uint8_t bit = 0;     // of a register: the word's bit where it begins, 0 or 32
    arch::CpuidPlace place;   // of a register; its bit is not used
};

struct Tool {
    std::string_view name;    // "glibc", as --for takes it
    std::string_view title;   // "GLIBC_TUNABLES of glibc"
    arch::Architecture architecture = arch::Architecture::x86_64;
    std::string_view source;
    Version oldest, newest;   // versions that are described; none: versions make no difference
    Version usual;            // taken when none is named
    std::string_view why;     // why that one
    std::span<const ToolEntry> entries;
};

[[nodiscard]] std::span<const Tool> tools();  // generated
[[nodiscard]] const Tool* find_tool(std::string_view name, arch::Architecture architecture);

}  // namespace cpulevel::level
