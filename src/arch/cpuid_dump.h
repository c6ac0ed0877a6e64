// What CPUID answered: a table (leaf, subleaf) -> four registers. Pure data; who executed CPUID is not known here.
// Source of the shapes: Intel SDM vol. 2A "CPUID", AMD APM vol. 3 appendix E.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace cpulevel::arch {

enum class Register : std::uint8_t { eax, ebx, ecx, edx };

struct CpuidRegisters {
    std::uint32_t eax = 0;
    std::uint32_t ebx = 0;
    std::uint32_t ecx = 0;
    std::uint32_t edx = 0;
    friend bool operator==(const CpuidRegisters&, const CpuidRegisters&) = default;

    [[nodiscard]] std::uint32_t get(Register which) const {
        return std::array{eax, ebx, ecx, edx}[static_cast<std::size_t>(which)];
    }
    void set(Register which, std::uint32_t value) {
        switch (which) {
            case Register::eax: eax = value; break;
            case Register::ebx: ebx = value; break;
            case Register::ecx: ecx = value; break;
            case Register::edx: edx = value; break;
        }
    }
};

// ECX on input selects a subleaf only for some leaves; a leaf without subleaves is stored with subleaf 0.
struct CpuidKey {
    std::uint32_t leaf = 0;
    std::uint32_t subleaf = 0;
    friend auto operator<=>(const CpuidKey&, const CpuidKey&) = default;
};

using CpuidDump = std::map<CpuidKey, CpuidRegisters>;

[[nodiscard]] inline std::optional<CpuidRegisters> find(const CpuidDump& dump, std::uint32_t leaf,
                                                        std::uint32_t subleaf = 0) {
    const auto at = dump.find({leaf, subleaf});
    if (at == dump.end()) return std::nullopt;
    return at->second;
}

}  // namespace cpulevel::arch
