#include "cpuid/movable.h"

#include <initializer_list>

#include "cpuid/instruction.h"

namespace cpulevel::cpuid {
namespace {

enum class Immediate { none, byte, word_or_dword, full };  // full: as wide as the register (B8 with REX.W: 8 bytes)

struct Shape {
    bool modrm = false;
    Immediate immediate = Immediate::none;
    unsigned allowed = 0xFF;  // of ModRM's reg field, a bit per value: in groups it selects the instruction
};

constexpr Shape kModrm{.modrm = true};
constexpr Shape kModrmByte{.modrm = true, .immediate = Immediate::byte};
constexpr Shape kModrmDword{.modrm = true, .immediate = Immediate::word_or_dword};

constexpr unsigned regs(std::initializer_list<unsigned> values) {
    unsigned mask = 0;
    for (const unsigned value : values) mask |= 1U << value;
    return mask;
}

std::optional<Shape> one_byte_shape(unsigned opcode) {
    if (opcode < 0x40) {  // add, or, adc, sbb, and, sub, xor, cmp
        switch (opcode & 7U) {
            case 4: return Shape{.immediate = Immediate::byte};
            case 5: return Shape{.immediate = Immediate::word_or_dword};
            case 6: case 7: return std::nullopt;
            default: return kModrm;
        }
    }
    if (opcode >= 0x50 && opcode <= 0x5F) return Shape{};                               // push, pop
    if (opcode >= 0x84 && opcode <= 0x8B) return kModrm;                                // test, xchg, mov
    if (opcode >= 0x90 && opcode <= 0x99) return Shape{};                               // nop, xchg, cwde, cdq
    if (opcode >= 0xB0 && opcode <= 0xB7) return Shape{.immediate = Immediate::byte};   // mov
    if (opcode >= 0xB8 && opcode <= 0xBF) return Shape{.immediate = Immediate::full};   // mov
    if (opcode >= 0xD0 && opcode <= 0xD3) return kModrm;                                // shifts
    switch (opcode) {
        case 0x63: case 0x8D: return kModrm;                                            // movsxd, lea
        case 0x68: return Shape{.immediate = Immediate::word_or_dword};                 // push
        case 0x6A: case 0xA8: return Shape{.immediate = Immediate::byte};               // push, test
        case 0xA9: return Shape{.immediate = Immediate::word_or_dword};                 // test
        case 0x69: case 0x81: return kModrmDword;                                       // imul, group 1
        case 0x6B: case 0x80: case 0x83: case 0xC0: case 0xC1: return kModrmByte;       // imul, group 1, shifts
        case 0xC6:  // mov; /7 is XABORT
            return Shape{.modrm = true, .immediate = Immediate::byte, .allowed = regs({0})};
        case 0xC7:  // mov; /7 is XBEGIN
            return Shape{.modrm = true, .immediate = Immediate::word_or_dword, .allowed = regs({0})};
        case 0xF6: case 0xF7:  // not, neg, mul, imul; /0 below
            return Shape{.modrm = true, .allowed = regs({2, 3, 4, 5})};
        case 0xFE: return Shape{.modrm = true, .allowed = regs({0, 1})};                // inc, dec
        case 0xFF: return Shape{.modrm = true, .allowed = regs({0, 1, 6})};             // inc, dec, push; others branch
        default: return std::nullopt;
    }
}

std::optional<Shape> two_byte_shape(unsigned opcode) {
    if (opcode >= 0x10 && opcode <= 0x17) return kModrm;  // SSE moves and unpacks
    if (opcode >= 0x28 && opcode <= 0x2F) return kModrm;  // SSE moves, conversions, compares
    if (opcode >= 0x40 && opcode <= 0x4F) return kModrm;  // cmov
    if (opcode >= 0x50 && opcode <= 0x6F) return kModrm;  // SSE arithmetic, punpck, movd, movq, movdqa
    if (opcode >= 0x90 && opcode <= 0x9F) return kModrm;  // setcc
    if (opcode >= 0xC8 && opcode <= 0xCF) return Shape{};  // bswap
    switch (opcode) {
        case 0x1F: return kModrm;                                                  // nop; 1E has ENDBR64
        case 0x31: return Shape{};                                                 // rdtsc
        case 0x70: case 0xA4: case 0xAC: case 0xC4: case 0xC6: return kModrmByte;  // pshufd, shld, shrd, pinsrw, shufps
        case 0xBA: return Shape{.modrm = true, .immediate = Immediate::byte, .allowed = regs({4, 5, 6, 7})};  // bt...
        case 0x74: case 0x75: case 0x76: case 0x7E: case 0x7F: case 0xD6:          // pcmpeq, movd, movq, movdqa
        case 0xD4: case 0xDB: case 0xDF: case 0xEB: case 0xEF: case 0xFE:          // paddq, pand, pandn, por, pxor, paddd
        case 0xA3: case 0xAB: case 0xB3: case 0xBB: case 0xBC: case 0xBD:          // bt, bts, btr, btc, bsf, bsr
        case 0xA5: case 0xAD: case 0xAF:                                           // shld, shrd, imul
        case 0xB0: case 0xB1: case 0xC0: case 0xC1:                                // cmpxchg, xadd
        case 0xB6: case 0xB7: case 0xBE: case 0xBF:                                // movzx, movsx
            return kModrm;
        default: return std::nullopt;
    }
}

}  // namespace

std::optional<Movable> movable(std::span<const std::byte> instruction) {
    const auto byte = [&](unsigned at) {
        return at < instruction.size() ? std::to_integer<unsigned>(instruction[at]) : 0x100U;
    };
    const Prefixes prefixes = read_prefixes(instruction, CodeMode::bits64);
    if (prefixes.address_size || prefixes.idle_rex) return std::nullopt;
    unsigned at = prefixes.count;
    const unsigned opcode = byte(at++);
    std::optional<Shape> shape;
    if (opcode == 0x0F) {
        const unsigned second = byte(at++);
        if (second == 0x01) {  // a group of system instructions, of which XGETBV (0F 01 D0) is harmless
            return byte(at) == 0xD0 && instruction.size() == at + 1 ? std::optional(Movable{}) : std::nullopt;
        }
        shape = two_byte_shape(second);
    } else {
        shape = one_byte_shape(opcode);
    }
    if (!shape) return std::nullopt;

    Movable result;
    if (shape->modrm) {
        const unsigned modrm = byte(at++);
        const unsigned mod = modrm >> 6U;
        const unsigned rm = modrm & 7U;
        const unsigned reg = (modrm >> 3U) & 7U;
        if (modrm > 0xFF) return std::nullopt;
        if ((opcode == 0xF6 || opcode == 0xF7) && reg == 0) {  // test with an immediate
            shape->immediate = opcode == 0xF6 ? Immediate::byte : Immediate::word_or_dword;
        } else if ((shape->allowed & (1U << reg)) == 0) {
            return std::nullopt;
        }
        if (mod != 3 && rm == 4) {
            const unsigned base = byte(at++) & 7U;
            if (mod == 0 && base == 5) at += 4;
        } else if (mod == 0 && rm == 5) {
            result.rip_displacement = at;
            at += 4;
        }
        if (mod == 1) at += 1;
        if (mod == 2) at += 4;
    }
    const unsigned word_or_dword = prefixes.operand_size && !prefixes.rex_w ? 2 : 4;
    switch (shape->immediate) {
        case Immediate::none: break;
        case Immediate::byte: at += 1; break;
        case Immediate::word_or_dword: at += word_or_dword; break;
        case Immediate::full: at += prefixes.rex_w ? 8 : word_or_dword; break;
    }
    if (at != instruction.size()) return std::nullopt;
    return result;
}

}  // namespace cpulevel::cpuid
