#include "util/protobuf_wire.h"

#include <fmt/format.h>

namespace cpulevel {
namespace {

std::unexpected<Error> damaged(std::size_t position, std::string why) {
    return usage_error("damaged protobuf message", fmt::format("byte {}", position), std::move(why));
}

// Fixed fields are little-endian.
std::optional<std::uint64_t> take_fixed(std::string_view& text, std::size_t size) {
    if (text.size() < size) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8U * i);
    }
    text.remove_prefix(size);
    return value;
}

}  // namespace

std::optional<std::uint64_t> take_varint(std::string_view& text) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < text.size() && i < 10; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (i == 9 && byte > 1) return std::nullopt;  // bits beyond the 64th
        value |= std::uint64_t{byte & 0x7fU} << (7U * i);
        if ((byte & 0x80U) == 0) {
            text.remove_prefix(i + 1);
            return value;
        }
    }
    return std::nullopt;
}

Result<std::optional<WireField>> WireReader::next() {
    if (rest_.empty()) return std::nullopt;
    const std::size_t start = position();
    const auto key = take_varint(rest_);
    if (!key || (*key >> 3U) == 0 || (*key >> 3U) > 0x1fffffffU) return damaged(start, "not a field");
    WireField field;
    field.number = static_cast<std::uint32_t>(*key >> 3U);
    std::optional<std::uint64_t> value;
    switch (*key & 7U) {
        case 0: field.type = WireType::varint; value = take_varint(rest_); break;
        case 1: field.type = WireType::fixed64; value = take_fixed(rest_, 8); break;
        case 5: field.type = WireType::fixed32; value = take_fixed(rest_, 4); break;
        case 2: {
            field.type = WireType::bytes;
            const auto length = take_varint(rest_);
            if (!length) return damaged(start, "the length of a field is cut");
            if (*length > rest_.size()) {
                return damaged(start, fmt::format("field {} claims {} bytes, {} are left", field.number, *length,
                                                  rest_.size()));
            }
            field.bytes = rest_.substr(0, static_cast<std::size_t>(*length));
            rest_.remove_prefix(field.bytes.size());
            value = 0;
            break;
        }
        default: return damaged(start, fmt::format("field {} is of type {}", field.number, *key & 7U));
    }
    if (!value) return damaged(start, fmt::format("field {} is cut", field.number));
    field.value = *value;
    return field;
}

Result<std::vector<std::uint64_t>> repeated_numbers(const WireField& field) {
    if (field.type != WireType::bytes) return std::vector{field.value};
    std::vector<std::uint64_t> numbers;
    std::string_view rest = field.bytes;
    while (!rest.empty()) {
        const auto number = take_varint(rest);
        if (!number) return damaged(field.bytes.size() - rest.size(), "a packed number is cut");
        numbers.push_back(*number);
    }
    return numbers;
}

}  // namespace cpulevel
