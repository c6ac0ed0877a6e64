#include "cpuid/decoder.h"

#include <capstone/capstone.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "cpuid/plain_length.h"

// Capstone's cs.c names the entry points of every architecture that it knows, so a static link would bring in all of
// them: 6.7 MB, and 77,000 relocations that a static-pie applies at each start (0.9 ms, measured). We need x86 only.
// These definitions stand in the same object as the code that needs Capstone, so the linker has them before it opens
// libcapstone.a and leaves the other architectures' members there. Nothing calls them: only CS_ARCH_X86 is opened;
// if something did, it would get CS_ERR_ARCH. Against a shared libcapstone they have no effect.
extern "C" {
#define CPULEVEL_NO_ARCHITECTURE(name)                              \
    cs_err name##_global_init(void*);                               \
    cs_err name##_global_init(void*) { return CS_ERR_ARCH; }        \
    cs_err name##_option(void*, cs_opt_type, std::size_t);          \
    cs_err name##_option(void*, cs_opt_type, std::size_t) { return CS_ERR_ARCH; }
CPULEVEL_NO_ARCHITECTURE(ARM)
CPULEVEL_NO_ARCHITECTURE(AArch64)
CPULEVEL_NO_ARCHITECTURE(Mips)
CPULEVEL_NO_ARCHITECTURE(PPC)
CPULEVEL_NO_ARCHITECTURE(Sparc)
CPULEVEL_NO_ARCHITECTURE(SystemZ)
CPULEVEL_NO_ARCHITECTURE(XCore)
CPULEVEL_NO_ARCHITECTURE(M68K)
CPULEVEL_NO_ARCHITECTURE(TMS320C64x)
CPULEVEL_NO_ARCHITECTURE(M680X)
CPULEVEL_NO_ARCHITECTURE(EVM)
#undef CPULEVEL_NO_ARCHITECTURE
}

namespace cpulevel::cpuid {

struct Decoder::Engine {
    csh lengths = 0;   // without operands: fast
    csh operands = 0;  // with operands
    cs_insn* length_slot = nullptr;
    cs_insn* operand_slot = nullptr;
};

void Decoder::Close::operator()(Engine* engine) const {
    if (engine->length_slot != nullptr) cs_free(engine->length_slot, 1);
    if (engine->operand_slot != nullptr) cs_free(engine->operand_slot, 1);
    if (engine->lengths != 0) cs_close(&engine->lengths);
    if (engine->operands != 0) cs_close(&engine->operands);
    delete engine;
}

Decoder::Decoder(CodeMode mode, std::unique_ptr<Engine, Close> engine) : mode_(mode), engine_(std::move(engine)) {}

Result<Decoder> Decoder::open(CodeMode mode) {
    std::unique_ptr<Engine, Close> engine(new Engine);
    const cs_mode bits = mode == CodeMode::bits64 ? CS_MODE_64 : CS_MODE_32;
    cs_err error = cs_open(CS_ARCH_X86, bits, &engine->lengths);
    if (error == CS_ERR_OK) error = cs_open(CS_ARCH_X86, bits, &engine->operands);
    if (error == CS_ERR_OK) error = cs_option(engine->operands, CS_OPT_DETAIL, CS_OPT_ON);
    if (error == CS_ERR_OK) {
        engine->length_slot = cs_malloc(engine->lengths);
        engine->operand_slot = cs_malloc(engine->operands);
        if (engine->length_slot == nullptr || engine->operand_slot == nullptr) error = CS_ERR_MEM;
    }
    if (error != CS_ERR_OK) return machine_error("cannot open the x86 decoder", "Capstone", cs_strerror(error));
    return Decoder(mode, std::move(engine));
}

namespace {

// One instruction's bytes after its prefixes, as numbers; beyond the end they read as nothing.
class Opcode {
   public:
    Opcode(std::span<const std::byte> instruction, unsigned prefixes) : bytes_(instruction), at_(prefixes) {}
    [[nodiscard]] unsigned byte(unsigned index) const {
        return at_ + index < bytes_.size() ? std::to_integer<unsigned>(bytes_[at_ + index]) : 0x100U;
    }

   private:
    std::span<const std::byte> bytes_;
    unsigned at_;
};

// The last `size` (1 or 4) bytes of an instruction, sign-extended.
std::int64_t last_bytes(std::span<const std::byte> instruction, std::size_t size) {
    if (size == 1) return static_cast<std::int8_t>(std::to_integer<unsigned char>(instruction.back()));
    std::int32_t value = 0;
    std::memcpy(&value, instruction.data() + (instruction.size() - sizeof value), sizeof value);
    return value;
}

struct Branch {
    Flow flow = Flow::next;
    unsigned displacement = 0;  // bytes: 1 or 4; 0 if it has none
};

// From the opcode maps of the Intel SDM, volume 2, appendix A.
Branch classify(const Opcode& opcode) {
    const unsigned first = opcode.byte(0);
    if ((first >= 0x70 && first <= 0x7F) || (first >= 0xE0 && first <= 0xE3)) return {Flow::conditional, 1};
    switch (first) {
        case 0xE8: return {Flow::call, 4};
        case 0xE9: return {Flow::jump, 4};
        case 0xEB: return {Flow::jump, 1};
        case 0xC2: case 0xC3: case 0xCA: case 0xCB: case 0xCF:  // near and far return, IRET
        case 0xCC: case 0xF1: case 0xF4:                        // INT3, INT1, HLT
        case 0xEA: return {Flow::stop, 0};                      // far jump (32-bit code)
        case 0x9A: return {Flow::call, 0};                      // far call (32-bit code)
        case 0xC7: return opcode.byte(1) == 0xF8 ? Branch{Flow::conditional, 4} : Branch{};  // XBEGIN
        case 0xFF:
            switch ((opcode.byte(1) >> 3U) & 7U) {
                case 2: case 3: return {Flow::call, 0};
                case 4: case 5: return {Flow::jump, 0};
                default: return {};
            }
        case 0x0F: {
            const unsigned second = opcode.byte(1);
            if (second >= 0x80 && second <= 0x8F) return {Flow::conditional, 4};
            switch (second) {
                case 0x0B:                                   // UD2
                case 0x07: case 0x34: case 0x35: case 0xAA:  // SYSRET, SYSENTER, SYSEXIT, RSM
                    return {Flow::stop, 0};
                default: return {};
            }
        }
        default: return {};
    }
}

bool disassemble(csh handle, cs_insn* slot, std::span<const std::byte> bytes, std::uint64_t address) {
    // Capstone reads no more than it is given; the copy spares a cast from std::byte.
    std::array<std::uint8_t, kMaximumInstructionLength> window{};
    std::size_t left = std::min(bytes.size(), window.size());
    if (left == 0) return false;
    std::memcpy(window.data(), bytes.data(), left);
    const std::uint8_t* at = window.data();
    return cs_disasm_iter(handle, &at, &left, &address, slot);
}

}  // namespace

std::optional<Instruction> Decoder::decode(std::span<const std::byte> bytes, std::uint64_t address) {
    const Prefixes prefixes = read_prefixes(bytes, mode_);
    const unsigned length = plain_length(bytes, prefixes);
    return length == 0 ? decode_surely(bytes, address) : describe(bytes.first(length), prefixes, address);
}

std::optional<Instruction> Decoder::decode_surely(std::span<const std::byte> bytes, std::uint64_t address) {
    cs_insn* const slot = engine_->length_slot;
    if (!disassemble(engine_->lengths, slot, bytes, address)) return std::nullopt;
    const unsigned length = slot->size;
    if (length == 0 || length > kMaximumInstructionLength || length > bytes.size()) return std::nullopt;
    const auto whole = bytes.first(length);
    return describe(whole, read_prefixes(whole, mode_), address);
}

// What an instruction does, of which Capstone has said that it is one and how long it is.
std::optional<Instruction> Decoder::describe(std::span<const std::byte> whole, const Prefixes& prefixes,
                                             std::uint64_t address) const {
    const auto length = static_cast<unsigned>(whole.size());
    const Opcode opcode(whole, prefixes.count);
    // Legal, but no compiler writes it: more likely data.
    if (prefixes.idle_rex) return std::nullopt;
    // UD0 and UD1 have an operand, which Capstone 4 does not count.
    if (opcode.byte(0) == 0x0F && (opcode.byte(1) == 0xB9 || opcode.byte(1) == 0xFF)) return std::nullopt;

    Instruction instruction{
        .length = length, .opcode_at = prefixes.count, .flow = Flow::next, .target = {}, .cpuid_opcode = {}, .loads_eax = {}};

    const Branch branch = classify(opcode);
    instruction.flow = branch.flow;
    if (branch.displacement != 0) {
        // With 66 a near branch has a 16-bit displacement on AMD and (in 64-bit code) 32 bits on Intel.
        if (prefixes.operand_size && !prefixes.rex_w) return std::nullopt;
        if (length < prefixes.count + 1 + branch.displacement) return std::nullopt;
        std::uint64_t target =
            address + length + static_cast<std::uint64_t>(last_bytes(whole, branch.displacement));
        if (mode_ == CodeMode::bits32) target &= 0xFFFFFFFFU;
        instruction.target = target;
    }

    if (opcode.byte(0) == 0x0F && opcode.byte(1) == 0xA2) {
        const auto cpuid = recognise_cpuid(whole, mode_);
        if (!cpuid || cpuid->length != length) return std::nullopt;
        instruction.cpuid_opcode = cpuid->opcode_offset;
    }
    instruction.system_call = mode_ == CodeMode::bits64 ? opcode.byte(0) == 0x0F && opcode.byte(1) == 0x05
                                                        : opcode.byte(0) == 0xCD && opcode.byte(1) == 0x80;
    const bool plain = prefixes.count == 0;
    const bool wide = prefixes.count == 1 && prefixes.rex_w && whole[0] == std::byte{0x48};
    if ((plain && opcode.byte(0) == 0xB8 && length == 5) ||
        ((plain || wide) && opcode.byte(0) == 0xC7 && opcode.byte(1) == 0xC0)) {
        const std::int64_t value = last_bytes(whole, 4);
        if (plain || value >= 0) instruction.loads_eax = static_cast<std::uint32_t>(value);
    }
    return instruction;
}

bool Decoder::writes_eax(std::span<const std::byte> bytes, std::uint64_t address) {
    cs_insn* const slot = engine_->operand_slot;
    if (!disassemble(engine_->operands, slot, bytes, address)) return true;
    cs_regs read{};
    cs_regs written{};
    std::uint8_t read_count = 0;
    std::uint8_t written_count = 0;
    if (cs_regs_access(engine_->operands, slot, read, &read_count, written, &written_count) != CS_ERR_OK) return true;
    return std::any_of(written, written + written_count, [](std::uint16_t name) {
        return name == X86_REG_RAX || name == X86_REG_EAX || name == X86_REG_AX || name == X86_REG_AL ||
               name == X86_REG_AH;
    });
}

}  // namespace cpulevel::cpuid
