#include "arch/x86_64.h"

#include <algorithm>
#include <array>

#include "arch/feature.h"
#include "util/text.h"

namespace cpulevel::arch {

namespace {

void append_bytes(std::string& text, std::uint32_t word) {
    for (unsigned shift = 0; shift < 32; shift += 8) text.push_back(static_cast<char>((word >> shift) & 0xFFU));
}

std::uint32_t bits(std::uint32_t word, unsigned high, unsigned low) {
    return (word >> low) & ((std::uint32_t{1} << (high - low + 1)) - 1);
}

std::string vendor_of(const CpuidDump& dump) {
    std::string vendor;
    if (const auto leaf = find(dump, 0)) {
        for (const std::uint32_t word : {leaf->ebx, leaf->edx, leaf->ecx}) append_bytes(vendor, word);
    }
    return vendor;
}

std::string brand_of(const CpuidDump& dump) {
    std::string brand;
    for (std::uint32_t number = 0x80000002; number <= 0x80000004; ++number) {
        const auto leaf = find(dump, number);
        if (!leaf) return {};
        for (const std::uint32_t word : {leaf->eax, leaf->ebx, leaf->ecx, leaf->edx}) append_bytes(brand, word);
    }
    brand.resize(std::min(brand.find('\0'), brand.size()));
    return std::string(trim(brand));
}

}  // namespace

X86Identity x86_identity(const CpuidDump& dump) {
    X86Identity identity;
    identity.vendor = vendor_of(dump);
    identity.brand = brand_of(dump);
    if (const auto leaf = find(dump, 1)) {
        // The extended family counts only beyond family 15. The extended model counts from family 6 on for
        // everyone, as Linux (arch/x86/lib/cpu.c) has it: AMD's family 6 has zeroes there.
        const std::uint32_t family = bits(leaf->eax, 11, 8);
        identity.family = family == 0xF ? family + bits(leaf->eax, 27, 20) : family;
        identity.model = bits(leaf->eax, 7, 4);
        if (family >= 6) identity.model |= bits(leaf->eax, 19, 16) << 4U;
        identity.stepping = bits(leaf->eax, 3, 0);
    }
    return identity;
}

bool x86_leaf_has_subleaves(std::uint32_t leaf) {
    static constexpr std::array<std::uint32_t, 23> kWithSubleaves = {
        0x4,  0x7,  0xB,  0xD,  0xF,  0x10, 0x12, 0x14, 0x17, 0x18, 0x1B, 0x1D,
        0x1E, 0x1F, 0x20, 0x23, 0x24, 0x27, 0x28, 0x29, 0x8000001D, 0x80000020, 0x80000026};
    return std::ranges::binary_search(kWithSubleaves, leaf);
}

bool x86_leaf_in_range(const CpuidDump& dump, std::uint32_t leaf) {
    const auto first = find(dump, leaf & 0xF0000000U);
    return !first || leaf <= first->eax;
}

void x86_add_hidden_syscall(const CpuidDump& dump, FeatureSet& set) {
    const FeatureTable& features = table(Architecture::x86_64);
    static const auto kLongMode = features.find("lm");
    static const auto kSyscall = features.find("syscall");
    if (!kLongMode || !kSyscall || !set.contains(*kLongMode)) return;
    const std::string vendor = vendor_of(dump);
    if (vendor == "GenuineIntel" || vendor == "CentaurHauls" || vendor == "  Shanghai  ") set.insert(*kSyscall);
}

bool x86_repeats_leaf_1(const CpuidDump& dump) {
    const std::string vendor = vendor_of(dump);
    return vendor.empty() || vendor == "AuthenticAMD" || vendor == "HygonGenuine";
}

std::string_view x86_64_level_name(const FeatureSet& set) {
    std::string_view best;
    for (const std::string_view name : {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
        const NamedLevel* level = table(Architecture::x86_64).find_level(name);
        const bool has_all = level != nullptr && std::ranges::all_of(level->features, [&](FeatureId id) {
            return set.contains(id);
        });
        if (!has_all) break;
        best = name;
    }
    return best;
}

}  // namespace cpulevel::arch
