// The wire format of protocol buffers, read field by field without generated code: for files of which we need a few
// fields (CRIU images), from whoever made them. Nothing is allocated; lengths are checked against what is left, so a
// hostile message costs no more than its own bytes.
// Source: protobuf.dev, "Encoding": a field is a varint key (number << 3 | type) and a value; groups (types 3 and 4)
// are long deprecated and refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct WireField {
    std::uint32_t number = 0;
    WireType type = WireType::varint;
    std::uint64_t value = 0;   // of a varint or fixed field
    std::string_view bytes;    // of a string, a message or packed numbers; part of the text that is read
};

class WireReader {
   public:
    explicit WireReader(std::string_view message) : rest_(message), size_(message.size()) {}

    // The next field, nothing at the end of the message, or an error that names the byte.
    [[nodiscard]] Result<std::optional<WireField>> next();

   private:
    [[nodiscard]] std::size_t position() const { return size_ - rest_.size(); }

    std::string_view rest_;
    std::size_t size_;
};

// A base-128 varint at the start of the text, which is shortened by it; nothing if it is cut or too long for 64 bits.
[[nodiscard]] std::optional<std::uint64_t> take_varint(std::string_view& text);

// The numbers of a repeated numeric field, of which this is one occurrence: packed (bytes) or alone (a varint).
[[nodiscard]] Result<std::vector<std::uint64_t>> repeated_numbers(const WireField& field);

}  // namespace cpulevel
