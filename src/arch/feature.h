// The feature tables: what an architecture's programs can ask for, where each answer stands, how a level combines
// it, and what depends on what. The facts are in data/ARCH.json (with their sources); a generator turns them into
// constexpr tables at build. This room knows no file formats and makes no system calls.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/cpuid_dump.h"
#include "arch/feature_set.h"

namespace cpulevel::arch {

enum class Architecture : std::uint8_t { x86_64, aarch64, riscv64, ppc64le, s390x, loongarch64 };

[[nodiscard]] std::string_view name(Architecture architecture);  // as in `uname -m`
[[nodiscard]] std::optional<Architecture> find_architecture(std::string_view name);  // also amd64, arm64
[[nodiscard]] std::span<const Architecture> architectures();

// How a level combines the values of its nodes; the reasons are in docs/levelling.md.
enum class Rule : std::uint8_t { And, Max, Min, Equal, Union, Live, Named, Never };
[[nodiscard]] std::string_view name(Rule rule);

struct CpuidPlace {
    std::uint32_t leaf = 0;
    std::uint32_t subleaf = 0;
    Register reg = Register::eax;
    std::uint8_t bit = 0;
};

struct HwcapPlace {
    std::uint8_t word = 0;  // 0 is AT_HWCAP, 1 AT_HWCAP2, 2 AT_HWCAP3, 3 AT_HWCAP4
    std::uint8_t bit = 0;
};

struct Feature {
    std::string_view name;                       // canonical: lower case, letters, digits and '_'
    std::span<const std::string_view> aliases;   // the kernel's, the compilers', the manuals' other names
    std::string_view title;                      // one line for people
    std::string_view group;                      // "vector", "crypto", ...: how tables are grouped
    std::span<const CpuidPlace> cpuid;           // every place that shows it; the first is the defining one
    std::span<const HwcapPlace> hwcap;           // every HWCAP bit that shows it
    std::uint64_t xcr0 = 0;                      // XCR0 bits that the system must have enabled for it to be usable
    Rule rule = Rule::And;                       // And or Never for features
    std::span<const FeatureId> needs;            // direct dependencies: shown only with all of these
    bool user = true;         // a program without privilege can use it (false: shown by CPUID, of use to a kernel only)
    bool security = false;    // hiding it weakens a program (inheritance.md rule 10)
    bool hint_space = false;  // its instructions are executed without asking: cannot be masked
    bool moves = true;        // its state survives a checkpoint and a move
    std::string_view why;     // the reason of a rule or flag that is not the ordinary one; may be empty
    std::string_view source;  // manual and section, kernel file, header
};

// A field of CPUID that is not one feature bit: sizes, counts, identities. x86 only. One row a place: fields with
// several places (brand, cache parameters) have several rows of one name. Fields and feature bits never overlap; a
// bit that is in neither is unknown, and no level shows it.
struct CpuidField {
    std::string_view name;
    std::uint32_t leaf = 0;
    std::uint32_t first_subleaf = 0;
    std::uint32_t last_subleaf = 0;  // inclusive; 0xffffffff is "all from first_subleaf on"
    Register reg = Register::eax;
    std::uint8_t low = 0;   // bits low..high, inclusive
    std::uint8_t high = 0;
    Rule rule = Rule::Named;
    std::string_view why;
};

struct NamedLevel {
    std::string_view name;  // "x86-64-v3", "armv8.2-a"
    std::span<const FeatureId> features;  // closed under needs
    std::string_view source;
};

// A name or alias in the form in which names are compared: lower case, '.' and '-' as '_'.
struct NameEntry {
    std::string_view key;
    FeatureId id;
};

class FeatureTable {
   public:
    [[nodiscard]] Architecture architecture() const { return architecture_; }
    [[nodiscard]] std::span<const Feature> features() const { return features_; }
    [[nodiscard]] const Feature& operator[](FeatureId id) const { return features_[id.value]; }
    [[nodiscard]] std::span<const CpuidField> fields() const { return fields_; }
    [[nodiscard]] std::span<const NamedLevel> levels() const { return levels_; }

    // By canonical name or alias, case-insensitive; '.' and '-' in the query count as '_'.
    [[nodiscard]] std::optional<FeatureId> find(std::string_view name) const;
    [[nodiscard]] const NamedLevel* find_level(std::string_view name) const;
    // Names near a mistyped one (features and levels), for "did you mean".
    [[nodiscard]] std::vector<std::string_view> suggest(std::string_view name) const;

    [[nodiscard]] FeatureSet all() const;
    // Removes every feature that lacks something it needs, until nothing changes: the largest closed subset.
    [[nodiscard]] FeatureSet closed_subset(FeatureSet set) const;
    // Adds everything that the members need: the smallest closed superset.
    [[nodiscard]] FeatureSet with_needs(FeatureSet set) const;
    // All features that need `id`, directly or not (without `id` itself).
    [[nodiscard]] FeatureSet dependents(FeatureId id) const;

    // What CPUID and XCR0 say: the bit of the defining place, or where that leaf is not in the dump (or beyond the
    // maximum leaf) of any copy; and where xcr0 is given, usable under it. Not closed: a machine says what it says.
    // SYSCALL, which Intel hides from 32-bit programs, comes with long mode (arch/x86_64.h).
    [[nodiscard]] FeatureSet from_cpuid(const CpuidDump& dump, std::optional<std::uint64_t> xcr0) const;
    // What HWCAP words 0..3 say; a missing word says nothing.
    [[nodiscard]] FeatureSet from_hwcap(std::span<const std::optional<std::uint64_t>> words) const;
    // The bits of one HWCAP word that show the members.
    [[nodiscard]] std::uint64_t to_hwcap(const FeatureSet& set, std::uint8_t word) const;
    // The features that have a place in the given leaf/subleaf/register or HWCAP word.
    [[nodiscard]] FeatureSet in_leaf(std::uint32_t leaf, std::uint32_t subleaf) const;
    [[nodiscard]] FeatureSet in_hwcap_word(std::uint8_t word) const;
    // Sets or clears each feature's bit in all of its CPUID places that exist in the dump. The copies of leaf 1 in
    // leaf 0x80000001 are set only where the dump's vendor has them (AMD, Hygon), and cleared elsewhere.
    void apply_to_cpuid(const FeatureSet& set, CpuidDump& dump) const;

    constexpr FeatureTable(Architecture architecture, std::span<const Feature> features,
                           std::span<const CpuidField> fields, std::span<const NamedLevel> levels,
                           std::span<const NameEntry> names)
        : architecture_(architecture), features_(features), fields_(fields), levels_(levels), names_(names) {}

   private:
    Architecture architecture_;
    std::span<const Feature> features_;
    std::span<const CpuidField> fields_;
    std::span<const NamedLevel> levels_;
    std::span<const NameEntry> names_;  // sorted by key
};

[[nodiscard]] const FeatureTable& table(Architecture architecture);

// The largest sizes of any CPU known in data/ (levelling.md, "Named levels"), for levels without nodes behind them.
struct KnownMaxima {
    std::uint32_t xsave_area = 0;        // bytes, CPUID leaf 0xD EBX with everything known enabled
    std::uint32_t minimum_signal_stack = 0;  // bytes, AT_MINSIGSTKSZ
};
[[nodiscard]] const KnownMaxima& known_maxima();

}  // namespace cpulevel::arch
