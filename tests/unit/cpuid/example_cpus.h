// Invented CPUs whose answers have the shapes of real ones, for tests of the virtual CPUID.
#pragma once

#include <stdexcept>
#include <string_view>
#include <utility>

#include "arch/feature.h"
#include "arch/x86_64.h"
#include "cpuid/virtual_cpuid.h"

namespace cpulevel::cpuid {

inline std::uint32_t four(std::string_view text, std::size_t from) {
    std::uint32_t word = 0;
    for (unsigned i = 0; i < 4 && from + i < text.size(); ++i) {
        word |= std::uint32_t{static_cast<unsigned char>(text[from + i])} << (8 * i);
    }
    return word;
}

inline void write_brand(arch::CpuidDump& dump, std::string_view brand) {
    for (std::uint32_t i = 0; i < 3; ++i) {
        dump[{0x80000002 + i, 0}] = {four(brand, i * 16), four(brand, i * 16 + 4), four(brand, i * 16 + 8),
                                     four(brand, i * 16 + 12)};
    }
}

// Every feature bit that the data know, at every place; then the fields.
inline arch::CpuidDump every_feature() {
    arch::CpuidDump dump;
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    for (const arch::Feature& feature : table.features()) {
        for (const arch::CpuidPlace& place : feature.cpuid) {
            auto& registers = dump[{place.leaf, place.subleaf}];
            registers.set(place.reg, registers.get(place.reg) | std::uint32_t{1} << place.bit);
        }
    }
    return dump;
}

inline arch::CpuidDump intel_host() {
    arch::CpuidDump dump = every_feature();
    dump[{0, 0}] = {0x1f, four("GenuineIntel", 0), four("GenuineIntel", 8), four("GenuineIntel", 4)};
    dump[{1, 0}].eax = 0x000806f8;
    dump[{1, 0}].ebx = 0x2a100800;  // initial APIC id 0x2a, 16 logical CPUs, CLFLUSH 64 bytes
    dump[{2, 0}] = {0x00feff01, 0xf0, 0, 0};
    dump[{4, 0}] = {0x1c004121, 0x02c0003f, 0x3f, 0};
    dump[{4, 1}] = {0x1c004122, 0x01c0003f, 0x3f, 0};
    dump[{4, 2}] = {0, 0, 0, 0};
    dump[{7, 0}].eax = 2;
    dump[{0xb, 0}] = {1, 2, 0x100, 0x2a};
    dump[{0xb, 1}] = {7, 16, 0x201, 0x2a};
    dump[{0xd, 0}] = {0x600e7, 0x2b00, 0x2b00, 0};
    dump[{0xd, 2}] = {0x100, 0x240, 0, 0};
    dump[{0x15, 0}] = {2, 0x88, 0x17d7840, 0};
    dump[{0x16, 0}] = {0x834, 0xdac, 0x64, 0};
    dump[{0x1f, 0}] = {1, 2, 0x100, 0x2a};
    dump[{0x80000000, 0}] = {0x80000008, 0, 0, 0};
    write_brand(dump, "Intel(R) Example(R) 9000 CPU @ 2.10GHz");
    dump[{0x80000006, 0}] = {0, 0, 0x08007040, 0};
    dump[{0x80000008, 0}].eax = 0x3934;
    return dump;
}

inline arch::CpuidDump amd_host() {
    arch::CpuidDump dump = every_feature();
    dump[{0, 0}] = {0x10, four("AuthenticAMD", 0), four("AuthenticAMD", 8), four("AuthenticAMD", 4)};
    dump[{1, 0}].eax = 0x00a20f12;
    dump[{1, 0}].ebx = 0x05100800;
    dump[{0xb, 0}] = {1, 2, 0x100, 5};
    dump[{0x80000000, 0}] = {0x80000026, four("AuthenticAMD", 0), four("AuthenticAMD", 8), four("AuthenticAMD", 4)};
    write_brand(dump, "AMD Example 9 Processor");
    dump[{0x8000001d, 0}] = {0x121, 0x1c0003f, 0x3f, 0};
    dump[{0x8000001d, 1}] = {0x122, 0x1c0003f, 0x3f, 0};
    dump[{0x8000001e, 0}] = {5, 0x102, 0, 0};
    return dump;
}

// The host as executed on its CPU number `cpu`: the dump with that CPU's APIC ids, and what hardware answers where
// a dump holds nothing.
inline RealCpuid executed_on(arch::CpuidDump host, std::uint32_t cpu) {
    return [host = std::move(host), cpu](std::uint32_t leaf, std::uint32_t subleaf) {
        if (!arch::x86_leaf_has_subleaves(leaf)) subleaf = 0;
        arch::CpuidRegisters result = arch::find(host, leaf, subleaf).value_or(arch::CpuidRegisters{});
        if (leaf == 1) result.ebx = (result.ebx & 0x00ffffff) | cpu << 24U;
        if (leaf == 0xb || leaf == 0x1f || leaf == 0x80000026) {
            result.ecx = (result.ecx & ~0xffU) | (subleaf & 0xffU);
            result.edx = cpu;
        }
        if (leaf == 0x8000001e) result.eax = cpu;
        return result;
    };
}

inline arch::CpuidRegisters must_not_be_asked(std::uint32_t, std::uint32_t) {
    throw std::logic_error("the real CPUID was asked for a leaf without LIVE fields");
}

inline arch::FeatureId feature(std::string_view name) {
    return arch::table(arch::Architecture::x86_64).find(name).value();
}

// A level made by hand from one node's dump, with all of its features but the named ones.
inline level::Level level_of_node(const arch::CpuidDump& dump, std::initializer_list<std::string_view> without = {}) {
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    level::Level level;
    level.features = table.from_cpuid(dump, std::nullopt);
    for (const std::string_view name : without) level.features.erase(feature(name));
    level.features = table.closed_subset(level.features);
    level.cpuid = dump;
    level.identity.emplace().vendor = arch::x86_identity(dump).vendor;
    return level;
}

}  // namespace cpulevel::cpuid
