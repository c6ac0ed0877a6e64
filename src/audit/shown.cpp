// Sources: glibc sysdeps/x86/include/cpu-features.h (2.33 to 2.41), sysdeps/x86/cpu-features.c.
#include "audit/shown.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "arch/x86_64.h"
#include "cpuid/flat_table.h"
#include "profile/derive.h"

namespace cpulevel::audit {
namespace {

constexpr std::size_t kMostData = 1U << 20U;      // bytes of one mapping that are looked through for the record
constexpr std::size_t kMostMappings = 512;        // that are looked at in one process
constexpr std::size_t kBasic = 5 * 4;             // kind, max_cpuid, family, model, stepping
constexpr std::size_t kLeafBytes = 8 * 4;         // four registers of CPUID, four of what is active

// The order of glibc's array; later versions have more at its end.
constexpr std::array<arch::CpuidKey, 9> kLeaves{{{1, 0}, {7, 0}, {0x80000001, 0}, {0xD, 1}, {0x80000007, 0},
                                                {0x80000008, 0}, {7, 1}, {0x19, 0}, {0x14, 0}}};

std::uint32_t word_at(std::span<const std::byte> data, std::size_t offset) {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data() + offset, sizeof value);
    return value;
}

arch::CpuidRegisters registers_at(std::span<const std::byte> data, std::size_t offset) {
    return {.eax = word_at(data, offset), .ebx = word_at(data, offset + 4), .ecx = word_at(data, offset + 8),
            .edx = word_at(data, offset + 12)};
}

bool is_record(std::span<const std::byte> data) {
    const std::uint32_t kind = word_at(data, 0);
    const std::uint32_t maximum = word_at(data, 4);
    constexpr std::uint32_t kMostKinds = 4;  // arch_kind_intel, amd, zhaoxin, other
    if (kind < 1 || kind > kMostKinds || maximum < 1 || maximum > 0x100) return false;
    const std::uint32_t signature = word_at(data, kBasic);
    std::uint32_t family = (signature >> 8U) & 0xfU;
    std::uint32_t model = (signature >> 4U) & 0xfU;
    const std::uint32_t extended_model = (signature >> 12U) & 0xf0U;
    // As get_common_indices() and init_cpu_features() have it: the extended model is added for some families only, and
    // not at all for a vendor that it does not know.
    const std::uint32_t plain_model = model;
    if (family == 0xf) family += (signature >> 20U) & 0xffU;
    model += extended_model;
    const bool model_fits = word_at(data, 12) == model || word_at(data, 12) == plain_model;
    if (signature == 0 || word_at(data, 8) != family || !model_fits || word_at(data, 16) != (signature & 0xfU)) return false;
    // x87, TSC, CX8, CMOV, FXSR, SSE, SSE2: no 64-bit processor is without.
    constexpr std::uint32_t kEverywhere = 1U | 1U << 4U | 1U << 8U | 1U << 15U | 7U << 24U;
    return (word_at(data, kBasic + 12) & kEverywhere) == kEverywhere;
}

// Behind the array stand `preferred`, `isa_1` and, aligned, the two sizes. How long the array is depends on the version.
std::optional<std::uint64_t> resolver_buffer_in(std::span<const std::byte> data, std::uint64_t misalignment) {
    std::optional<std::uint64_t> found;
    for (std::size_t leaves = kLeaves.size(); leaves <= kLeaves.size() + 3; ++leaves) {
        const std::size_t isa = kBasic + leaves * kLeafBytes + 4;
        const std::size_t sizes = (isa + 4 + misalignment + 7) / 8 * 8 - misalignment;
        if (sizes + 12 > data.size()) break;
        const std::uint32_t levels = word_at(data, isa);
        std::uint64_t size = 0;
        std::memcpy(&size, data.data() + sizes, sizeof size);
        const std::uint32_t full = word_at(data, sizes + 8);
        // ISA levels are bits 0 to 3 from the lowest on; sizes are multiples of 64 and hold at least the header.
        const bool fits = levels != 0 && levels <= 0xf && std::has_single_bit(levels + 1) && size % 64 == 0 &&
                          size < (1U << 16U) && full % 64 == 0 && size <= full + std::uint64_t{4096} &&
                          ((size == 0) == (full == 0)) && (size == 0 || size >= 576 + kResolverPad);
        if (!fits) continue;
        if (found && *found != size) return std::nullopt;
        found = size;
    }
    return found;
}

// The bytes of a mapping, up to a bound; empty if it cannot be read.
std::vector<std::byte> read_mapping(const Memory& memory, const Mapping& mapping) {
    std::vector<std::byte> data(static_cast<std::size_t>(std::min<std::uint64_t>(mapping.end - mapping.start, kMostData)));
    data.resize(memory.read(mapping.start, data));
    return data;
}

// Pages that are missing (in images, those that were never written to) are left out.
template <class Visit>
void for_each_part(const Memory& memory, const Mapping& mapping, Visit visit) {
    constexpr std::uint64_t kPage = 4096;
    const std::uint64_t end = std::min(mapping.end, mapping.start + kMostData);
    std::vector<std::byte> part;
    for (std::uint64_t at = mapping.start; at < end;) {
        part.resize(static_cast<std::size_t>(end - at));
        part.resize(memory.read(at, part));
        if (!part.empty() && visit(at, std::span<const std::byte>(part))) return;
        at = (at + part.size()) / kPage * kPage + (part.empty() || part.size() % kPage != 0 ? kPage : 0);
    }
}

arch::CpuidDump dump_of_table(const cpuid::FlatTable& table) {
    arch::CpuidDump dump;
    for (std::size_t index = 0; index < table.header().entry_count; ++index) {
        const cpuid::FlatEntry entry = table.entry(index);
        if (entry.match == cpuid::FlatEntry::kThisSubleaf) dump[{entry.leaf, entry.subleaf}] = entry.fixed;
    }
    return dump;
}

void add_source(Shown& shown, const arch::FeatureTable& table, const arch::CpuidDump& dump, const arch::FeatureSet& described,
                std::string source) {
    shown.features |= table.from_cpuid(dump, std::nullopt) & described;
    shown.described |= described;
    shown.sources.push_back(std::move(source));
    shown.cpuid_known = true;
}

// The features whose defining place is in one of the dump's leaves.
arch::FeatureSet in_leaves_of(const arch::FeatureTable& table, const arch::CpuidDump& dump) {
    arch::FeatureSet set;
    for (std::size_t index = 0; index < table.features().size(); ++index) {
        const arch::FeatureId id{static_cast<std::uint16_t>(index)};
        const auto places = table[id].cpuid;
        if (!places.empty() && dump.contains({places.front().leaf, places.front().subleaf})) set.insert(id);
    }
    return set;
}

void look_for_glibc(const Snapshot& process, const arch::FeatureTable& table, Shown& shown) {
    std::size_t looked_at = 0;
    const auto look = [&](const Mapping& mapping) {
        if (shown.glibc || ++looked_at > kMostMappings) return;
        for_each_part(*process.memory, mapping, [&](std::uint64_t, std::span<const std::byte> data) {
            shown.glibc = find_glibc_record(data);
            return shown.glibc.has_value();
        });
    };
    // In ld.so's data that is read-only after relocation; in a static program among its own. Mapped from a file, not
    // executable; the part behind a file's data is anonymous and directly follows.
    const auto is_loader = [](const Mapping& m) { return m.path.find("/ld-linux") != std::string::npos || m.path.find("/ld-2.") != std::string::npos; };
    for (const Mapping& mapping : process.mappings) {
        if (is_loader(mapping) && !mapping.executable && mapping.readable) look(mapping);
    }
    const bool has_loader = std::ranges::any_of(process.mappings, is_loader);
    if (!has_loader) {
        for (const Mapping& mapping : process.mappings) {
            if (!mapping.executable && mapping.readable && (!mapping.path.empty() ? mapping.path.front() == '/' : true)) look(mapping);
        }
    }
    if (shown.glibc) {
        add_source(shown, table, shown.glibc->cpuid, in_leaves_of(table, shown.glibc->cpuid), "glibc's record");
    }
}

void look_for_stub_table(const Snapshot& process, const arch::FeatureTable& table, Shown& shown) {
    std::size_t looked_at = 0;
    for (const Mapping& mapping : process.mappings) {
        if (!mapping.executable || !mapping.path.empty() || ++looked_at > kMostMappings) continue;
        std::array<std::byte, 4> magic{};
        if (process.memory->read(mapping.start, magic) != magic.size() || word_at(magic, 0) != cpuid::FlatHeader::kMagic) continue;
        const auto data = read_mapping(*process.memory, mapping);
        const auto view = cpuid::FlatTable::view(data);
        if (!view) continue;
        const arch::CpuidDump dump = dump_of_table(*view);
        add_source(shown, table, dump, profile::known_from_cpuid(dump), "the table of cpulevel's stubs");
        return;
    }
}

}  // namespace

bool GlibcRecord::uses_xsavec() const {
    const auto leaf = arch::find(active, 0xD, 1);
    return leaf && ((leaf->eax >> 1U) & 1U) != 0;
}

std::optional<GlibcRecord> find_glibc_record(std::span<const std::byte> data) {
    const std::size_t size = kBasic + kLeaves.size() * kLeafBytes;
    for (std::size_t offset = 0; offset + size <= data.size(); offset += 4) {
        const auto candidate = data.subspan(offset);
        if (!is_record(candidate)) continue;
        GlibcRecord record;
        for (std::size_t leaf = 0; leaf < kLeaves.size(); ++leaf) {
            record.cpuid[kLeaves.at(leaf)] = registers_at(candidate, kBasic + leaf * kLeafBytes);
            record.active[kLeaves.at(leaf)] = registers_at(candidate, kBasic + leaf * kLeafBytes + 16);
        }
        record.resolver_buffer = resolver_buffer_in(candidate, offset % 8);
        return record;
    }
    return std::nullopt;
}

Shown what_was_shown(const Snapshot& process) {
    Shown shown;
    const arch::FeatureTable& table = arch::table(process.architecture);
    if (process.architecture == arch::Architecture::x86_64 && process.memory) {
        look_for_glibc(process, table, shown);
        look_for_stub_table(process, table, shown);
    }
    if (process.aux_vector) {
        std::array<std::optional<std::uint64_t>, 4> words;
        for (std::size_t word = 0; word < words.size(); ++word) words.at(word) = process.aux_vector->find(inherit::kHwcapTypes.at(word));
        arch::FeatureSet described;
        for (std::uint8_t word = 0; word < words.size(); ++word) {
            if (words.at(word)) described |= table.in_hwcap_word(word);
        }
        // What the system has switched off (FSGSBASE) the CPU still shows; the HWCAP words tell, and no program uses it.
        const arch::FeatureSet told = table.from_hwcap(words) & described;
        shown.features -= described - told;
        shown.features |= told;
        shown.described |= described;
        if (!described.empty()) shown.sources.emplace_back("the HWCAP words");
    }
    return shown;
}

}  // namespace cpulevel::audit
