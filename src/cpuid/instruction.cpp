#include "cpuid/instruction.h"

#include <algorithm>

namespace cpulevel::cpuid {

Prefixes read_prefixes(std::span<const std::byte> bytes, CodeMode mode) {
    Prefixes prefixes;
    bool after_rex = false;
    for (const std::byte raw : bytes.first(std::min<std::size_t>(bytes.size(), kMaximumInstructionLength))) {
        const auto byte = std::to_integer<unsigned>(raw);
        if (mode == CodeMode::bits64 && (byte & 0xF0U) == 0x40U) {
            prefixes.rex_w = (byte & 0x08U) != 0;
            prefixes.idle_rex = prefixes.idle_rex || after_rex;
            after_rex = true;
            ++prefixes.count;
            continue;
        }
        switch (byte) {
            case 0x66: prefixes.operand_size = true; break;
            case 0x67: prefixes.address_size = true; break;
            case 0xF0: prefixes.lock = true; break;
            case 0x26: case 0x2E: case 0x36: case 0x3E: case 0x64: case 0x65: break;
            case 0xF2: case 0xF3: prefixes.repeat = true; break;
            default: return prefixes;
        }
        prefixes.idle_rex = prefixes.idle_rex || after_rex;
        prefixes.rex_w = after_rex = false;
        ++prefixes.count;
    }
    return prefixes;
}

std::optional<CpuidInstruction> recognise_cpuid(std::span<const std::byte> bytes_at_rip, CodeMode mode) {
    const Prefixes prefixes = read_prefixes(bytes_at_rip, mode);
    const unsigned length = prefixes.count + 2;
    if (prefixes.lock || length > kMaximumInstructionLength || length > bytes_at_rip.size()) return std::nullopt;
    if (bytes_at_rip[prefixes.count] != std::byte{0x0F} || bytes_at_rip[prefixes.count + 1] != std::byte{0xA2}) {
        return std::nullopt;
    }
    return CpuidInstruction{.length = length, .opcode_offset = prefixes.count};
}

}  // namespace cpulevel::cpuid
