// Writes messages and image files, so that tests can make checkpoints that no machine at hand can.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cpulevel::images::test {

class Message {
   public:
    Message& number(unsigned field, std::uint64_t value) {
        varint(std::uint64_t{field} << 3U);
        varint(value);
        return *this;
    }
    Message& bytes(unsigned field, std::string_view value) {
        varint(std::uint64_t{field} << 3U | 2U);
        varint(value.size());
        text_ += value;
        return *this;
    }
    Message& message(unsigned field, const Message& inner) { return bytes(field, inner.text_); }
    Message& packed(unsigned field, const std::vector<std::uint64_t>& values) {
        Message inner;
        for (const std::uint64_t value : values) inner.varint(value);
        return bytes(field, inner.text_);
    }
    [[nodiscard]] const std::string& text() const { return text_; }

   private:
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7U) text_ += static_cast<char>(value | 0x80U);
        text_ += static_cast<char>(value);
    }
    std::string text_;
};

inline void append_word(std::string& text, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) text += static_cast<char>(value >> (8 * i) & 0xffU);
}

inline constexpr std::uint32_t kCommonMagic = 0x54564319;

inline std::string image(std::uint32_t magic, const std::vector<Message>& messages, bool common = true) {
    std::string file;
    if (common) append_word(file, kCommonMagic);
    append_word(file, magic);
    for (const Message& message : messages) {
        append_word(file, static_cast<std::uint32_t>(message.text().size()));
        file += message.text();
    }
    return file;
}

}  // namespace cpulevel::images::test
