// The table of lengths against the decoder that it stands for. An answer depends on prefixes, opcode, ModRM and SIB; so every one of
// them is asked here in every combination that can matter, with what follows all zeros and all ones, and cut off behind the
// instruction. Where the table has no answer there is nothing to compare.
#include "cpuid/plain_length.h"

#include <capstone/capstone.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace cpulevel::cpuid {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, 9> kLegacy{0x66, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65};

class Comparison {
   public:
    explicit Comparison(CodeMode mode) : mode_(mode) {
        EXPECT_EQ(cs_open(CS_ARCH_X86, mode == CodeMode::bits64 ? CS_MODE_64 : CS_MODE_32, &handle_), CS_ERR_OK);
        slot_ = cs_malloc(handle_);
    }
    ~Comparison() {
        cs_free(slot_, 1);
        cs_close(&handle_);
    }
    Comparison(const Comparison&) = delete;
    Comparison& operator=(const Comparison&) = delete;

    [[nodiscard]] std::uint64_t answers() const { return answers_; }

    // All opcodes of both maps behind these prefixes, with every `modrm_step`th ModRM and every `sib_step`th SIB.
    void all_opcodes(const Bytes& prefixes, unsigned modrm_step, unsigned sib_step) {
        for (const bool escaped : {false, true}) {
            for (unsigned opcode = 0; opcode < 256; ++opcode) {
                Bytes bytes = prefixes;
                if (escaped) bytes.push_back(0x0F);
                bytes.push_back(static_cast<std::uint8_t>(opcode));
                for (unsigned modrm = 0; modrm < 256; modrm += modrm_step) {
                    bytes.push_back(static_cast<std::uint8_t>(modrm));
                    const bool has_sib = modrm < 0xC0 && (modrm & 7U) == 4;
                    for (unsigned sib = 0; sib < (has_sib ? 256U : 1U); sib += sib_step) {
                        compare(bytes, sib, 0x00, sib == 0);
                        if (sib == 0) compare(bytes, sib, 0xFF, false);
                    }
                    bytes.pop_back();
                }
            }
        }
    }

   private:
    void compare(const Bytes& begin, unsigned sib, std::uint8_t rest, bool cut_off_too) {
        std::array<std::uint8_t, kMaximumInstructionLength + 5> bytes;
        bytes.fill(rest);
        std::copy(begin.begin(), begin.end(), bytes.begin());
        bytes[begin.size()] = static_cast<std::uint8_t>(sib);
        const auto view = std::as_bytes(std::span(bytes)).first(kMaximumInstructionLength);
        const unsigned length = ask(view);
        if (length == 0) return;
        ++answers_;
        compare(bytes, kMaximumInstructionLength, length);
        if (!cut_off_too) return;
        compare(bytes, length, length);
        EXPECT_EQ(ask(view.first(length)), length);
        EXPECT_EQ(ask(view.first(length - 1)), 0U);
    }

    void compare(std::span<const std::uint8_t> bytes, std::size_t size, unsigned length) {
        const std::uint8_t* at = bytes.data();
        std::uint64_t address = 0x1000;
        const bool known = cs_disasm_iter(handle_, &at, &size, &address, slot_);
        if (known && slot_->size == length) return;
        ADD_FAILURE() << fmt::format("{:02x}: {} bytes, but {}", fmt::join(bytes, " "), length, known ? slot_->size : 0);
    }

    [[nodiscard]] unsigned ask(std::span<const std::byte> bytes) const { return plain_length(bytes, read_prefixes(bytes, mode_)); }

    CodeMode mode_;
    csh handle_ = 0;
    cs_insn* slot_ = nullptr;
    std::uint64_t answers_ = 0;
};

Bytes operator+(Bytes bytes, std::uint8_t last) {
    bytes.push_back(last);
    return bytes;
}

TEST(PlainLength, EveryAnswerIsCapstonesIn64BitCode) {
    constexpr std::array<std::uint8_t, 4> kSomeRex{0x41, 0x44, 0x48, 0x4F};
    Comparison compare(CodeMode::bits64);
    compare.all_opcodes({}, 1, 1);
    compare.all_opcodes({0x48}, 1, 1);
    for (unsigned rex = 0x40; rex <= 0x4F; ++rex) compare.all_opcodes({static_cast<std::uint8_t>(rex)}, 1, 85);
    for (const std::uint8_t legacy : kLegacy) {
        compare.all_opcodes({legacy}, 1, 85);
        for (const std::uint8_t rex : kSomeRex) compare.all_opcodes(Bytes{legacy} + rex, 1, 255);
        for (const std::uint8_t second : kLegacy) {
            compare.all_opcodes({legacy, second}, 17, 255);
            compare.all_opcodes(Bytes{legacy, second} + std::uint8_t{0x48}, 17, 255);
        }
    }
    EXPECT_GT(compare.answers(), 5'000'000U);
}

TEST(PlainLength, EveryAnswerIsCapstonesIn32BitCode) {
    Comparison compare(CodeMode::bits32);
    compare.all_opcodes({}, 1, 1);
    for (const std::uint8_t legacy : kLegacy) {
        compare.all_opcodes({legacy}, 1, 85);
        for (const std::uint8_t second : kLegacy) compare.all_opcodes({legacy, second}, 17, 255);
    }
    EXPECT_GT(compare.answers(), 1'000'000U);
}

// Whoever adds to the table must not add these: nothing that is overwritten rests on it.
TEST(PlainLength, LeavesSitesToTheDecoder) {
    const auto ask = [](const Bytes& bytes, CodeMode mode) {
        const auto view = std::as_bytes(std::span(bytes));
        return plain_length(view, read_prefixes(view, mode));
    };
    EXPECT_EQ(ask({0x0F, 0xA2, 0x90}, CodeMode::bits64), 0U);
    EXPECT_EQ(ask({0x48, 0x0F, 0xA2, 0x90}, CodeMode::bits64), 0U);
    EXPECT_EQ(ask({0x0F, 0x05, 0x90}, CodeMode::bits64), 0U);
    EXPECT_EQ(ask({0xCD, 0x80, 0x90}, CodeMode::bits32), 0U);
    EXPECT_EQ(ask({}, CodeMode::bits64), 0U);
}

}  // namespace
}  // namespace cpulevel::cpuid
