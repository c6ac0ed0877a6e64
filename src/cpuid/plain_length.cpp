#include "cpuid/plain_length.h"

#include <array>
#include <cstdint>

namespace cpulevel::cpuid {
namespace {

// What stands behind an opcode, and which prefixes the table answers for.
struct Shape {
    std::uint8_t immediate = 0;       // bytes
    bool known = false;
    bool modrm = false;
    bool narrows = false;             // the immediate is of two bytes with 66
    bool widens = false;              // and of eight with REX.W
    bool with_operand_size = false;   // 66 may precede it
    bool with_repeat = false;         // F2 or F3 may
    std::uint8_t in_register = 0;     // of ModRM's reg field, a bit per value: which are known where mod is 3,
    std::uint8_t in_memory = 0;       // and where it is not
};

constexpr std::uint8_t kAll = 0xFF;
constexpr std::uint8_t kNone = 0;

// Shapes of whole rows and columns of the opcode maps.
constexpr Shape bare(std::uint8_t immediate = 0) {
    return {.immediate = immediate, .known = true, .with_operand_size = true};
}
constexpr Shape wide_immediate() { return {.immediate = 4, .known = true, .narrows = true, .with_operand_size = true}; }
constexpr Shape branch(std::uint8_t displacement) { return {.immediate = displacement, .known = true}; }
constexpr Shape with_modrm(std::uint8_t immediate = 0, std::uint8_t in_register = kAll, std::uint8_t in_memory = kAll) {
    return {.immediate = immediate,
            .known = true,
            .modrm = true,
            .with_operand_size = true,
            .in_register = in_register,
            .in_memory = in_memory};
}
constexpr Shape with_modrm_and_wide(std::uint8_t known = kAll) {
    Shape shape = with_modrm(4, known, known);
    shape.narrows = true;
    return shape;
}
constexpr Shape repeatable(Shape shape) {
    shape.with_repeat = true;
    return shape;
}

using Map = std::array<Shape, 256>;

constexpr void fill(Map& map, unsigned first, unsigned last, Shape shape) {
    for (unsigned opcode = first; opcode <= last; ++opcode) map[opcode] = shape;
}

constexpr Map one_byte_map() {
    Map map{};
    for (unsigned row = 0; row < 0x40; row += 8) {  // add, or, adc, sbb, and, sub, xor, cmp
        fill(map, row, row + 3, with_modrm());
        map[row + 4] = bare(1);
        map[row + 5] = wide_immediate();
    }
    fill(map, 0x50, 0x5F, bare());                              // push, pop
    map[0x63] = with_modrm();                                   // movsxd
    map[0x68] = wide_immediate();                               // push
    map[0x69] = with_modrm_and_wide();                          // imul
    map[0x6A] = bare(1);                                        // push
    map[0x6B] = with_modrm(1);                                  // imul
    fill(map, 0x70, 0x7F, branch(1));
    map[0x80] = map[0x83] = with_modrm(1);                      // group 1
    map[0x81] = with_modrm_and_wide();
    fill(map, 0x84, 0x8B, with_modrm());                        // test, xchg, mov
    map[0x8D] = with_modrm(0, kNone, kAll);                     // lea
    fill(map, 0x90, 0x99, bare());                              // nop, xchg, cwde, cdq
    fill(map, 0xA4, 0xA7, repeatable(bare()));                  // movs, cmps
    map[0xA8] = bare(1);                                        // test
    map[0xA9] = wide_immediate();
    fill(map, 0xAA, 0xAF, repeatable(bare()));                  // stos, lods, scas
    fill(map, 0xB0, 0xB7, bare(1));                             // mov
    fill(map, 0xB8, 0xBF, wide_immediate());
    for (unsigned opcode = 0xB8; opcode <= 0xBF; ++opcode) map[opcode].widens = true;
    map[0xC0] = map[0xC1] = with_modrm(1);                      // shifts
    map[0xC3] = {.known = true, .with_repeat = true};           // ret
    map[0xC6] = with_modrm(1, 0x01, 0x01);                      // mov
    map[0xC7] = with_modrm_and_wide(0x01);
    map[0xC9] = bare();                                         // leave
    fill(map, 0xD0, 0xD3, with_modrm());                        // shifts
    map[0xE8] = map[0xE9] = branch(4);                          // call, jmp
    map[0xEB] = branch(1);                                      // jmp
    map[0xF6] = with_modrm(0, 0xFC, 0xFC);                      // not, neg, mul, div; test below
    map[0xF7] = map[0xF6];
    map[0xFE] = with_modrm(0, 0x03, 0x03);                      // inc, dec
    map[0xFF] = with_modrm(0, 0x57, 0x57);                      // inc, dec, call, jmp, push
    return map;
}

constexpr Map two_byte_map() {
    Map map{};
    map[0x0B] = {.known = true};                                     // ud2
    fill(map, 0x10, 0x12, repeatable(with_modrm()));                 // movups, movss, movlps
    map[0x13] = map[0x17] = with_modrm(0, kNone, kAll);              // movlps, movhps
    fill(map, 0x14, 0x16, with_modrm());                             // unpcklps, movhps
    map[0x1F] = with_modrm(0, kNone, kAll);                          // nop
    map[0x28] = map[0x29] = with_modrm();                            // movaps
    map[0x2A] = map[0x2C] = map[0x2D] = repeatable(with_modrm());    // conversions
    map[0x2E] = map[0x2F] = with_modrm();                            // ucomiss, comiss
    fill(map, 0x40, 0x4F, with_modrm());                             // cmov
    fill(map, 0x51, 0x5F, repeatable(with_modrm()));                 // sqrtss to maxss
    fill(map, 0x60, 0x6B, with_modrm());                             // punpck, pack, pcmpgt
    map[0x6E] = with_modrm();                                        // movd
    map[0x6F] = repeatable(with_modrm());                            // movdqa, movdqu
    map[0x70] = repeatable(with_modrm(1));                           // pshufd
    fill(map, 0x74, 0x76, with_modrm());                             // pcmpeq
    map[0x7E] = map[0x7F] = repeatable(with_modrm());                // movd, movq, movdqa, movdqu
    fill(map, 0x80, 0x8F, branch(4));
    fill(map, 0x90, 0x9F, with_modrm());                             // setcc
    map[0xA3] = map[0xAB] = map[0xB3] = map[0xBB] = with_modrm();    // bt, bts, btr, btc
    map[0xA4] = map[0xAC] = with_modrm(1);                           // shld, shrd
    map[0xA5] = map[0xAD] = map[0xAF] = with_modrm();                // shld, shrd, imul
    map[0xB0] = map[0xB1] = with_modrm();                            // cmpxchg
    map[0xB6] = map[0xB7] = map[0xBE] = map[0xBF] = with_modrm();    // movzx, movsx
    map[0xBA] = with_modrm(1, 0xF0, 0xF0);                           // bt, bts, btr, btc
    map[0xBC] = map[0xBD] = repeatable(with_modrm());                // bsf, bsr, tzcnt
    map[0xC0] = map[0xC1] = with_modrm();                            // xadd
    map[0xC6] = with_modrm(1);                                       // shufps
    fill(map, 0xC8, 0xCF, bare());                                   // bswap
    fill(map, 0xD1, 0xD5, with_modrm());                             // shifts, paddq, pmullw
    fill(map, 0xD8, 0xDF, with_modrm());                             // psubus, pminub, pand, paddus, pmaxub, pandn
    fill(map, 0xE0, 0xE5, with_modrm());                             // pavg, psra, pmulh
    fill(map, 0xE8, 0xEF, with_modrm());                             // psubs, pminsw, por, padds, pmaxsw, pxor
    fill(map, 0xF1, 0xF6, with_modrm());                             // psll, pmuludq, pmaddwd, psadbw
    fill(map, 0xF8, 0xFE, with_modrm());                             // psub, padd
    return map;
}

constexpr Map kOneByte = one_byte_map();
constexpr Map kTwoBytes = two_byte_map();

}  // namespace

unsigned plain_length(std::span<const std::byte> bytes, const Prefixes& prefixes) {
    constexpr unsigned kMostPrefixes = 3;
    if (prefixes.count > kMostPrefixes || prefixes.idle_rex || prefixes.address_size || prefixes.lock) return 0;
    const auto byte = [&](unsigned at) {  // none beyond the end; every answer is compared with the end below
        return at < bytes.size() ? std::to_integer<unsigned>(bytes[at]) : 0U;
    };
    unsigned at = prefixes.count;
    const unsigned first = byte(at++);
    const bool escaped = first == 0x0F;
    const Shape& shape = escaped ? kTwoBytes[byte(at++)] : kOneByte[first];
    if (!shape.known || (prefixes.operand_size && !shape.with_operand_size) || (prefixes.repeat && !shape.with_repeat)) return 0;

    unsigned immediate = shape.immediate;
    bool narrows = shape.narrows;
    if (shape.modrm) {
        const unsigned modrm = byte(at++);
        const unsigned mod = modrm >> 6U, reg = (modrm >> 3U) & 7U, rm = modrm & 7U;
        if (!escaped && (first & 0xFEU) == 0xF6 && reg == 0) {  // test: the only one of its group with an immediate
            narrows = first == 0xF7;
            immediate = narrows ? 4 : 1;
        } else {
            const unsigned known = mod == 3 ? shape.in_register : shape.in_memory;
            if (((known >> reg) & 1U) == 0) return 0;
        }
        if (mod != 3) {
            const bool has_sib = rm == 4;
            const unsigned base = has_sib ? byte(at++) & 7U : rm;
            if (mod == 2 || (mod == 0 && base == 5)) at += 4;
            if (mod == 1) at += 1;
        }
    }
    if (narrows && prefixes.operand_size && !prefixes.rex_w) immediate = 2;
    if (shape.widens && prefixes.rex_w) immediate = 8;
    at += immediate;
    return at <= bytes.size() && at <= kMaximumInstructionLength ? at : 0;
}

}  // namespace cpulevel::cpuid
