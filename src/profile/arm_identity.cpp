#include "profile/arm_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace cpulevel::profile {
namespace {

struct Implementer {
    std::uint32_t code;
    std::string_view name;
};
// Arm ARM, table of MIDR_EL1.Implementer; Linux arch/arm64/include/asm/cputype.h for those not listed there.
constexpr std::array kImplementers{
    Implementer{0x41, "Arm"},      Implementer{0x42, "Broadcom"}, Implementer{0x43, "Cavium"},
    Implementer{0x46, "Fujitsu"},  Implementer{0x48, "HiSilicon"}, Implementer{0x4e, "NVIDIA"},
    Implementer{0x50, "APM"},      Implementer{0x51, "Qualcomm"}, Implementer{0x53, "Samsung"},
    Implementer{0x56, "Marvell"},  Implementer{0x61, "Apple"},    Implementer{0x69, "Intel"},
    Implementer{0x6d, "Microsoft"}, Implementer{0x70, "Phytium"}, Implementer{0xc0, "Ampere"},
};

struct Part {
    std::uint32_t implementer, part;
    std::string_view name;
};
// Linux arch/arm64/include/asm/cputype.h.
constexpr std::array kParts{
    Part{0x41, 0xd03, "Cortex-A53"},  Part{0x41, 0xd04, "Cortex-A35"},  Part{0x41, 0xd05, "Cortex-A55"},
    Part{0x41, 0xd07, "Cortex-A57"},  Part{0x41, 0xd08, "Cortex-A72"},  Part{0x41, 0xd09, "Cortex-A73"},
    Part{0x41, 0xd0a, "Cortex-A75"},  Part{0x41, 0xd0b, "Cortex-A76"},  Part{0x41, 0xd0c, "Neoverse-N1"},
    Part{0x41, 0xd0d, "Cortex-A77"},  Part{0x41, 0xd40, "Neoverse-V1"}, Part{0x41, 0xd41, "Cortex-A78"},
    Part{0x41, 0xd44, "Cortex-X1"},   Part{0x41, 0xd46, "Cortex-A510"}, Part{0x41, 0xd47, "Cortex-A710"},
    Part{0x41, 0xd48, "Cortex-X2"},   Part{0x41, 0xd49, "Neoverse-N2"}, Part{0x41, 0xd4f, "Neoverse-V2"},
    Part{0x41, 0xd83, "Neoverse-V3AE"}, Part{0x41, 0xd84, "Neoverse-V3"}, Part{0x41, 0xd8e, "Neoverse-N3"},
    Part{0x43, 0x0af, "ThunderX2"},   Part{0x46, 0x001, "A64FX"},       Part{0x48, 0xd01, "TSV110"},
    Part{0xc0, 0xac3, "Ampere-1"},    Part{0xc0, 0xac4, "Ampere-1A"},
};

}  // namespace

Identity arm_identity(std::uint64_t midr) {
    const auto field = [midr](unsigned low, std::uint32_t mask) {
        return static_cast<std::uint32_t>(midr >> low) & mask;
    };
    const std::uint32_t implementer = field(24, 0xff), part = field(4, 0xfff);
    const auto maker = std::ranges::find(kImplementers, implementer, &Implementer::code);
    const auto core = std::ranges::find_if(
        kParts, [&](const Part& known) { return known.implementer == implementer && known.part == part; });
    return {
        .vendor = maker != kImplementers.end() ? std::string(maker->name) : fmt::format("0x{:02x}", implementer),
        .brand = core != kParts.end() ? std::string(core->name) : fmt::format("part 0x{:03x}", part),
        .family = field(16, 0xf),
        .model = part,
        .stepping = field(20, 0xf) << 4U | field(0, 0xf),
    };
}

}  // namespace cpulevel::profile
